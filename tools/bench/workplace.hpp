// A directory of a benchmark's own.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace jit::inline v1 {

// Made in the system's directory for temporary files, and removed with all that is in it.
// Errors: kIo if it cannot be made.
class Workplace {
 public:
  explicit Workplace(std::string_view benchmark);
  ~Workplace();
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::string at(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace jit::inline v1
