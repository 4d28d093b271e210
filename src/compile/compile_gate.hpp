// Compile gate: one compile at a time in a process, and none across its exit.
#pragma once

#include <mutex>

namespace jit::inline v1 {

// CompileGate is held while NVRTC runs.
//
// exit() runs NVRTC's destructors under whatever other threads do with it. So the process, once it
// has compiled, waits at its exit for the compile that is running, and lets no other begin.
// Errors: kShuttingDown once exit has begun. Fork: held by no thread that does not fork itself, as
// long as forks wait for compiles (see Worker).
class CompileGate {
 public:
  CompileGate();
  CompileGate(const CompileGate&) = delete;
  CompileGate& operator=(const CompileGate&) = delete;

  // The same for an exit from the main thread, before anything else that happens at exit: NVRTC
  // puts destructors of its own in place while it compiles, and only a thread's own objects end
  // before those. Called on threads that ask for kernels. A main thread that ends through
  // pthread_exit counts as the exit of the process.
  static void watch_this_thread();

  // Puts the wait at exit in place, before what has been put there so far. Called before NVRTC is
  // loaded, for an exit during that, and after it, so that NVRTC's own destructors come later.
  static void close_at_exit();

 private:
  std::unique_lock<std::mutex> lock_;
};

}  // namespace jit::inline v1
