// StopSignals: SIGINT, SIGTERM and SIGHUP as something to poll, while it lives.
#pragma once

namespace jit::inline v1 {

// At most one at a time. A second signal does what the first did: nothing but to be seen.
class StopSignals {
 public:
  StopSignals();
  ~StopSignals();  // restores what the signals did before
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  int fd() const noexcept;         // readable once there was one
  static int received() noexcept;  // the last one; 0: none since the last StopSignals began
};

// What a verb returns that was stopped by a signal: main() ends by that very signal, after all else
// has been put in order, so that shells and make see what happened.
inline constexpr int kStoppedBySignal = 128;

}  // namespace jit::inline v1
