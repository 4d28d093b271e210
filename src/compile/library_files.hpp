// Library files: directories listed by the beginning of names, and the versions in names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

namespace jit::inline v1 {

// A file name's version: "libnvrtc.so.12.4.127" -> 12.4, with minor unknown in "libnvrtc.so.12".
struct FileVersion {
  std::uint16_t major = 0;
  std::optional<std::uint16_t> minor;
};
// Returns: nullopt unless `name` is `prefix` and a number, alone or followed by a dot.
std::optional<FileVersion> version_after(std::string_view name, std::string_view prefix);

// The files of a directory whose names begin with `prefix`, sorted; none if it cannot be read.
std::vector<std::filesystem::path> files_of(const std::filesystem::path& directory,
                                            std::string_view prefix);

}  // namespace jit::inline v1
