#include "runtime/tuning_turns.hpp"

#include <memory>

namespace jit::inline v1 {

TuningTurns::TuningTurns() {
  auto changed = std::make_unique<std::condition_variable>();
  changed_ = changed.get();
  join();  // which may want memory
  static_cast<void>(changed.release());
}

TuningTurns::~TuningTurns() {
  leave();
  delete changed_;
}

void TuningTurns::after_fork(bool in_child) noexcept {
  if (in_child) {
    taken_ = false;
    changed_ = new std::condition_variable;
  }
  mutex_.unlock();
}

TuningTurns::Turn::Turn(TuningTurns& turns) : turns_(turns) {
  std::unique_lock lock(turns_.mutex_);
  turns_.changed_->wait(lock, [&] { return !turns_.taken_; });
  turns_.taken_ = true;
}

TuningTurns::Turn::~Turn() {
  const std::lock_guard lock(turns_.mutex_);
  turns_.taken_ = false;
  turns_.changed_->notify_one();
}

}  // namespace jit::inline v1
