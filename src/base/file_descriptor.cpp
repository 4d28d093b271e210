#include "base/file_descriptor.hpp"

#include <cerrno>

namespace jit::inline v1 {

void UniqueFd::reset(int fd) noexcept {
  const int old = std::exchange(fd_, fd);
  if (old < 0) return;
  const int saved = errno;
  static_cast<void>(::close(old));
  errno = saved;
}

int UniqueFd::close() noexcept {
  const int old = std::exchange(fd_, -1);
  if (old < 0) return 0;
  // Linux frees the descriptor before it can be interrupted: a second close() would hit a stranger.
  if (::close(old) != 0 && errno != EINTR) return errno;
  return 0;
}

}  // namespace jit::inline v1
