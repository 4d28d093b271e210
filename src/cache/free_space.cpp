#include "cache/free_space.hpp"

#include <sys/statvfs.h>

#include <algorithm>

namespace jit::inline v1 {

std::optional<FreeSpace> free_space_of(int fd) noexcept {
  struct statvfs status {};
  if (::fstatvfs(fd, &status) != 0 || status.f_blocks == 0) return std::nullopt;
  const std::uint64_t block = status.f_frsize != 0 ? status.f_frsize : status.f_bsize;
  return FreeSpace{status.f_bavail * block, status.f_blocks * block};
}

std::uint64_t free_space_floor(const std::optional<std::uint64_t>& asked,
                               const FreeSpace& space) noexcept {
  constexpr std::uint64_t kUsual = std::uint64_t{256} << 20;
  return asked ? *asked : std::min(kUsual, space.total_bytes / 20);
}

}  // namespace jit::inline v1
