#include "runtime/quiet_thread.hpp"

#include <pthread.h>

#include <csignal>
#include <utility>

namespace jit::inline v1 {
namespace {

// A new thread inherits the mask of its maker.
class SignalsBlocked {
 public:
  SignalsBlocked() noexcept {
    sigset_t mask{};
    ::sigfillset(&mask);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT}) {
      ::sigdelset(&mask, fault);
    }
    ::pthread_sigmask(SIG_SETMASK, &mask, &before_);
  }
  ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

std::thread make_quiet_thread(std::function<void()> body) {
  const SignalsBlocked blocked;
  return std::thread(std::move(body));
}

}  // namespace jit::inline v1
