// File locks: open-file-description locks, which the kernel releases with their last descriptor.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace jit::inline v1 {

// Sets a lock of `type` (F_RDLCK, F_WRLCK, F_UNLCK) on `length` bytes from `offset` (0: to the end
// of any file) without waiting. Returns: 0, or errno: EAGAIN if another holds it.
int set_lock(int fd, short type, off_t offset, off_t length) noexcept;

enum class LockHolder : std::uint8_t { kNobody, kSomebody, kUnknown };

// Whether somebody holds the write lock on the whole file, through another open file than `fd`'s.
// kUnknown: the file system cannot say.
LockHolder holder_of(int fd) noexcept;

}  // namespace jit::inline v1
