#include "compile/private_directory.hpp"

#include <sched.h>
#include <unistd.h>

#include <thread>

namespace jit::inline v1 {

bool run_in_private_directory(const std::function<void()>& work) {
  bool is_private = false;
  std::thread([&] {
    is_private = ::unshare(CLONE_FS) == 0 && ::chdir("/") == 0;
    work();
  }).join();
  return is_private;
}

}  // namespace jit::inline v1
