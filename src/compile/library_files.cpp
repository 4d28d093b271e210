#include "compile/library_files.hpp"

#include <dirent.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <system_error>

namespace jit::inline v1 {
namespace {

struct DirectoryCloser {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

}  // namespace

std::optional<FileVersion> version_after(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  const char* at = name.data() + prefix.size();
  const char* end = name.data() + name.size();
  FileVersion version;
  auto [rest, error] = std::from_chars(at, end, version.major);
  if (error != std::errc() || (rest != end && *rest != '.')) return std::nullopt;
  if (rest == end) return version;
  std::uint16_t minor = 0;
  const auto second = std::from_chars(rest + 1, end, minor);
  if (second.ec != std::errc()) return std::nullopt;
  version.minor = minor;
  return version;
}

// Plain readdir: a toolkit's directory holds hundreds of files, and this runs before the first
// kernel of a process.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& directory,
                                            std::string_view prefix) {
  std::vector<std::filesystem::path> files;
  const std::unique_ptr<DIR, DirectoryCloser> handle(::opendir(directory.c_str()));
  if (!handle) return files;
  while (const dirent* row = ::readdir(handle.get())) {
    if (std::string_view(row->d_name).starts_with(prefix)) files.push_back(directory / row->d_name);
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace jit::inline v1
