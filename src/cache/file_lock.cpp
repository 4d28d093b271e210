#include "cache/file_lock.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace jit::inline v1 {
namespace {

struct flock range_of(short type, off_t offset, off_t length) noexcept {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = length;
  return range;
}

}  // namespace

int set_lock(int fd, short type, off_t offset, off_t length) noexcept {
  struct flock range = range_of(type, offset, length);
  int status = 0;
  do {
    status = ::fcntl(fd, F_OFD_SETLK, &range);
  } while (status != 0 && errno == EINTR);
  return status == 0 ? 0 : errno;
}

LockHolder holder_of(int fd) noexcept {
  struct flock range = range_of(F_RDLCK, 0, 0);
  if (::fcntl(fd, F_OFD_GETLK, &range) != 0) return LockHolder::kUnknown;
  return range.l_type == F_UNLCK ? LockHolder::kNobody : LockHolder::kSomebody;
}

}  // namespace jit::inline v1
