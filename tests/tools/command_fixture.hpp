// The cubinet command as a stranger runs it: the built binary in a process of its own, with an
// empty HOME, a cache directory of its own and no GPU.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/temporary_directory.hpp"

namespace jit::testing {

struct CommandResult {
  int code = -1;  // exit code; -N if it was ended by signal N
  std::string out;
  std::string err;

  nlohmann::json json() const { return nlohmann::json::parse(out); }
  bool out_has(std::string_view text) const { return out.find(text) != std::string::npos; }
  bool err_has(std::string_view text) const { return err.find(text) != std::string::npos; }
};

class CommandFixture {
 public:
  CommandFixture();

  // Runs `cubinet` with these arguments and stdin from /dev/null.
  CommandResult run(const std::vector<std::string>& arguments) const;
  // Runs a shell line in which $CUBINET is the command.
  CommandResult shell(const std::string& line) const;

  const TemporaryDirectory& folder() const { return folder_; }
  std::filesystem::path cache() const { return folder_ / "cache"; }
  // All entries below the cache directory.
  std::vector<std::filesystem::path> entries() const;

  // The environment of what is run; nothing else is inherited but where compiler and sanitizers are
  // concerned.
  std::map<std::string, std::string> environment;

 private:
  CommandResult start(const std::vector<std::string>& words) const;

  TemporaryDirectory folder_;
};

// Writes kTinyManifest's template for the fixture and puts it on its template path.
void add_tiny_template(CommandFixture& fixture);

}  // namespace jit::testing
