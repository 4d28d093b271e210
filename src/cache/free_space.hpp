// Free space of a file system, and how much of it the cache leaves to others.
#pragma once

#include <cstdint>
#include <optional>

namespace jit::inline v1 {

struct FreeSpace {
  std::uint64_t free_bytes = 0;  // for this user
  std::uint64_t total_bytes = 0;
};

// Of the file system that `fd` is on. Returns: nullopt if it does not say: some network and user
// space file systems answer with zeros.
std::optional<FreeSpace> free_space_of(int fd) noexcept;

// The floor: `asked`, or 256 MiB but at most a twentieth of the file system.
std::uint64_t free_space_floor(const std::optional<std::uint64_t>& asked,
                               const FreeSpace& space) noexcept;

}  // namespace jit::inline v1
