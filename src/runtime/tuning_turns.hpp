// TuningTurns: one thread of a process tunes at a time; timings of two would spoil each other.
#pragma once

#include <condition_variable>
#include <mutex>

#include "runtime/fork_support.hpp"

namespace jit::inline v1 {

// Threads: any. Fork: a child forgets whose turn it was; that thread is not there.
class TuningTurns final : private ForkAware {
 public:
  TuningTurns();
  ~TuningTurns() override;

  // Holds the turn while it lives; waits for it.
  class Turn {
   public:
    explicit Turn(TuningTurns& turns);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;

   private:
    TuningTurns& turns_;
  };

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool in_child) noexcept override;

  std::mutex mutex_;
  std::condition_variable* changed_;  // made anew in a child
  bool taken_ = false;
};

}  // namespace jit::inline v1
