// The cubinet command as a stranger runs it: the built binary in a process of its own, with an
// empty HOME, a cache directory of its own and no GPU.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
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
  // Starts `cubinet` with these arguments, and waits for what was started: one at a time. `err`, if
  // given, is where its stderr goes instead (a terminal).
  pid_t begin(const std::vector<std::string>& arguments, const std::string& err = {}) const;
  CommandResult finish(pid_t child) const;

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
  pid_t spawn(const std::vector<std::string>& words, const std::string& err) const;

  TemporaryDirectory folder_;
};

// The programs that `parent` has started and not reaped.
std::vector<pid_t> children_of(pid_t parent);
// Asks every few milliseconds. Returns: false if it did not come true within `seconds`.
bool wait_until(const std::function<bool()>& condition, double seconds = 20);

// Writes kTinyManifest's template for the fixture and puts it on its template path.
void add_tiny_template(CommandFixture& fixture);

}  // namespace jit::testing
