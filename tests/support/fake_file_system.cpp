// Preloaded: what lies below $FAKE_FILE_SYSTEM_BELOW is on a file system of $FAKE_FILE_SYSTEM_TYPE.
//
// No header that declares the function below is included: it is defined under another name, and
// bound to the C library's by its assembler label.
#include <dlfcn.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace {

bool lies_below(int fd, std::string_view folder) {
  char path[4096];
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = ::readlink(link.c_str(), path, sizeof path);
  return length >= 0 &&
         std::string_view(path, static_cast<std::size_t>(length)).starts_with(folder);
}

}  // namespace

extern "C" int jit_test_fstatfs(int fd, struct statfs* status) __asm__("fstatfs");
extern "C" __attribute__((used, visibility("default"))) int jit_test_fstatfs(
    int fd, struct statfs* status) {
  using Function = int(int, struct statfs*);
  static auto* const next = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, "fstatfs"));
  const int result = next(fd, status);
  const char* const below = std::getenv("FAKE_FILE_SYSTEM_BELOW");
  const char* const type = std::getenv("FAKE_FILE_SYSTEM_TYPE");
  if (result == 0 && below != nullptr && type != nullptr && lies_below(fd, below)) {
    status->f_type = static_cast<decltype(status->f_type)>(std::strtoll(type, nullptr, 0));
  }
  return result;
}
