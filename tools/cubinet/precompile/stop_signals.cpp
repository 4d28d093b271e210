#include "cubinet/precompile/stop_signals.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

namespace jit::inline v1 {
namespace {

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP};

struct State {
  std::array<int, 2> pipe{-1, -1};
  std::array<struct sigaction, kSignals.size()> before{};
};
State state;
std::atomic<int> received_signal{0};

void note(int signal) {
  const int error = errno;
  received_signal.store(signal);
  const char byte = 0;
  if (::write(state.pipe[1], &byte, 1) < 0) errno = error;  // full: it has been noted
  errno = error;
}

}  // namespace

StopSignals::StopSignals() {
  received_signal.store(0);
  if (::pipe2(state.pipe.data(), O_CLOEXEC | O_NONBLOCK) != 0) {
    state.pipe = {-1, -1};
    return;
  }
  struct sigaction action {};
  action.sa_handler = note;
  ::sigemptyset(&action.sa_mask);
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &state.before[i]);
    // What the caller ignores (nohup) stays ignored.
    if (state.before[i].sa_handler != SIG_IGN) ::sigaction(kSignals[i], &action, nullptr);
  }
}

StopSignals::~StopSignals() {
  if (state.pipe[0] < 0) return;
  for (std::size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], &state.before[i], nullptr);
  }
  for (int& fd : state.pipe) {
    ::close(fd);
    fd = -1;
  }
}

int StopSignals::fd() const noexcept { return state.pipe[0]; }

int StopSignals::received() noexcept { return received_signal.load(); }

}  // namespace jit::inline v1
