#include "compile/compile_gate.hpp"

#include <unistd.h>

#include <cstdlib>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

struct Gate {
  std::mutex mutex;
  bool closed = false;
};

// Never destroyed: threads may come here while the process exits.
Gate& gate() {
  static auto* const instance = new Gate;
  return *instance;
}

// Made when the library is loaded, so that no fork meets it half made.
[[maybe_unused]] const Gate& kMadeAtLoad = gate();

void close_gate() {
  const std::lock_guard lock(gate().mutex);
  gate().closed = true;
}

// Ends with its thread; the main thread's ends first of all at exit.
struct ExitWatch {
  ExitWatch() = default;
  ExitWatch(const ExitWatch&) = delete;
  ExitWatch& operator=(const ExitWatch&) = delete;
  ~ExitWatch() {
    if (::gettid() == ::getpid()) close_gate();
  }
};

}  // namespace

CompileGate::CompileGate() : lock_(gate().mutex) {
  if (gate().closed) {
    throw Error(ErrorCode::kShuttingDown,
                "compile: process exit has begun; get kernels before main returns");
  }
}

void CompileGate::watch_this_thread() {
  static thread_local const ExitWatch watch;
  static_cast<void>(watch);
}

void CompileGate::close_at_exit() { static_cast<void>(std::atexit(close_gate)); }

}  // namespace jit::inline v1
