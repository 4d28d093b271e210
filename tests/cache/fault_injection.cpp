// No header that declares the functions below is included: they are defined under other names, and
// bound to the C library's by their assembler labels.
#include "cache/fault_injection.hpp"

#include <dlfcn.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <string_view>
#include <utility>

struct stat;
struct timespec;

namespace jit::test {
namespace {

thread_local FaultInjector* active = nullptr;

bool strikes(const char* function) { return active != nullptr && active->strikes(function); }

template <class Function>
Function* real(const char* name) {
  return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

}  // namespace

FaultInjector::FaultInjector(Fault fault) : fault_(fault) { active = this; }
FaultInjector::~FaultInjector() { active = nullptr; }

bool FaultInjector::strikes(const char* function) {
  if (fault_.only != nullptr && std::string(function) != fault_.only) return false;
  ++calls_;
  const bool now = fault_.always ? calls_ >= fault_.at_call : calls_ == fault_.at_call;
  if (fault_.at_call == 0 || !now) return false;
  if (fault_.kill) ::kill(::getpid(), SIGKILL);
  struck_ = function;
  if (fault_.meanwhile) {
    active = nullptr;  // its own calls do not count
    fault_.meanwhile();
    active = this;
    return false;
  }
  errno = fault_.error;
  return true;
}

bool FaultInjector::pretends(int fd) const {
  if (fault_.file_system_type == 0) return false;
  if (fault_.below.empty()) return true;
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path, sizeof path);
  if (length < 0) return false;
  const std::string_view found(path, static_cast<std::size_t>(length));
  for (const std::string& folder : fault_.below) {
    if (found.starts_with(folder)) return true;
  }
  return false;
}

std::vector<int> errors_of_file_systems() {
  return {ENOSPC, EDQUOT, EIO,    EROFS,  EACCES, EPERM,  ENOENT, ESTALE, EBUSY, EXDEV,
          ENOLCK, ENOSYS, EMFILE, ENFILE, EINTR,  EAGAIN, ENOMEM, ELOOP,  EEXIST};
}

}  // namespace jit::test

// Defines `result name(parameters)` of the C library: it fails when it is struck, and else passes
// on `arguments`.
#define JIT_TEST_STAND_IN(result, name, parameters, arguments)                                \
  extern "C" result jit_test_##name parameters __asm__(#name);                                \
  extern "C" __attribute__((used, visibility("default"))) result jit_test_##name parameters { \
    static auto* const next = jit::test::real<result parameters>(#name);                      \
    if (jit::test::strikes(#name)) return -1;                                                 \
    return next arguments;                                                                    \
  }

JIT_TEST_STAND_IN(int, openat, (int at, const char* path, int flags, mode_t mode),
                  (at, path, flags, mode))
JIT_TEST_STAND_IN(int, mkdir, (const char* path, mode_t mode), (path, mode))
JIT_TEST_STAND_IN(int, mkdirat, (int at, const char* path, mode_t mode), (at, path, mode))
JIT_TEST_STAND_IN(int, fstat, (int fd, struct stat* status), (fd, status))
JIT_TEST_STAND_IN(int, fstatat, (int at, const char* path, struct stat* status, int flags),
                  (at, path, status, flags))
JIT_TEST_STAND_IN(int, fchmod, (int fd, mode_t mode), (fd, mode))
JIT_TEST_STAND_IN(ssize_t, read, (int fd, void* buffer, size_t count), (fd, buffer, count))
JIT_TEST_STAND_IN(ssize_t, pread, (int fd, void* buffer, size_t count, off_t offset),
                  (fd, buffer, count, offset))
JIT_TEST_STAND_IN(ssize_t, write, (int fd, const void* buffer, size_t count), (fd, buffer, count))
JIT_TEST_STAND_IN(ssize_t, pwrite, (int fd, const void* buffer, size_t count, off_t offset),
                  (fd, buffer, count, offset))
JIT_TEST_STAND_IN(int, fsync, (int fd), (fd))
JIT_TEST_STAND_IN(int, renameat, (int from_at, const char* from, int to_at, const char* to),
                  (from_at, from, to_at, to))
JIT_TEST_STAND_IN(int, unlinkat, (int at, const char* path, int flags), (at, path, flags))
JIT_TEST_STAND_IN(int, futimens, (int fd, const struct timespec* times), (fd, times))
JIT_TEST_STAND_IN(int, fcntl, (int fd, int command, void* argument), (fd, command, argument))

// A close() that fails has closed all the same.
extern "C" int jit_test_close(int fd) __asm__("close");
extern "C" __attribute__((used, visibility("default"))) int jit_test_close(int fd) {
  static auto* const next = jit::test::real<int(int)>("close");
  const int status = next(fd);
  return jit::test::strikes("close") ? -1 : status;
}

extern "C" int jit_test_fstatfs(int fd, struct statfs* status) __asm__("fstatfs");
extern "C" __attribute__((used, visibility("default"))) int jit_test_fstatfs(
    int fd, struct statfs* status) {
  static auto* const next = jit::test::real<int(int, struct statfs*)>("fstatfs");
  if (jit::test::strikes("fstatfs")) return -1;
  const int result = next(fd, status);
  const auto* const injector = jit::test::active;
  if (injector != nullptr && injector->pretends(fd)) {
    status->f_type = static_cast<decltype(status->f_type)>(injector->fault().file_system_type);
  }
  return result;
}
