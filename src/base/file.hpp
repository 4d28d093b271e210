// Reading and writing whole files, with every status looked at.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/file_descriptor.hpp"

namespace jit::inline v1 {

inline constexpr std::size_t kMaxFileBytes = std::size_t{64} << 20;

// The text of an errno value: "no space left on device (ENOSPC)".
std::string error_text(int error);

// View of text as bytes, and back.
inline std::span<const std::byte> as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(std::span<const std::byte> bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Opens read-only without following a link in the last component, without blocking on a fifo, and
// not inherited over exec. `directory` may be AT_FDCWD. Returns: no descriptor, and errno, if not.
UniqueFd open_for_reading(int directory, const char* path) noexcept;

// Reads until `buffer` is full or the file ends. Returns: bytes read, or -1 and errno.
ssize_t read_fully(int fd, std::span<std::byte> buffer) noexcept;

// Writes all of `bytes`. Returns: 0, or errno.
[[nodiscard]] int write_fully(int fd, std::span<const std::byte> bytes) noexcept;

// The whole of a regular file (links are followed). Returns: nullopt if it cannot be read, is no
// regular file, or is larger than `max_bytes` (EFBIG); then `*error`, if given, is the errno.
std::optional<std::string> read_file(const std::filesystem::path& path,
                                     std::size_t max_bytes = kMaxFileBytes, int* error = nullptr);

// Replaces a file in one step: temporary file beside it, rename. Readers see the old or the new
// text, never a part. Not fsynced: for files whose loss is harmless. Leaves no temporary file.
// Returns: 0, or errno.
[[nodiscard]] int replace_file(const std::filesystem::path& path, std::string_view text,
                               mode_t mode = 0600);

// Makes `path` and the parents that are missing, each with mode 0700. Returns: 0 (also if it is
// there already), or errno.
[[nodiscard]] int make_private_directories(const std::filesystem::path& path);

}  // namespace jit::inline v1
