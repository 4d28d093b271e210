#include "runtime/statistics_recorder.hpp"

#include <exception>
#include <utility>

#include "runtime/quiet_thread.hpp"

namespace jit::inline v1 {
StatisticsRecorder::StatisticsRecorder(const Directory* directory, Collect collect,
                                       RecorderTimes times)
    : collect_(std::move(collect)), times_(times), wake_(new std::condition_variable) {
  if (directory != nullptr && !directory->options().read_only) file_.emplace(*directory);
  started_ = !file_;
  join();
}

StatisticsRecorder::~StatisticsRecorder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_->notify_all();
  if (thread_ != nullptr) {
    thread_->join();
    delete std::exchange(thread_, nullptr);
  }
  write();
  leave();  // only now: a child of a fork amid the write would keep its locks
  delete wake_;
}

void StatisticsRecorder::tick() noexcept {
  if (started_.load(std::memory_order_relaxed)) return;
  if (Clock::now() - made_at_ < times_.quiet || started_.exchange(true)) return;
  start();
}

void StatisticsRecorder::write() noexcept {
  const std::lock_guard lock(mutex_);
  if (!file_) return;
  try {
    static_cast<void>(file_->write(collect_()));
  } catch (const std::exception&) {
    return;  // out of memory: the next write says it all
  }
}

void StatisticsRecorder::start() noexcept {
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock) {
    started_ = false;  // somebody writes, to a disk that may hang: nobody waits for it here
    return;
  }
  if (stopping_) return;
  try {
    thread_ = new std::thread(make_quiet_thread([this] { loop(); }));
  } catch (const std::exception&) {
    thread_ = nullptr;  // there are none to be had: the end of the process writes
  }
}

void StatisticsRecorder::loop() {
  std::unique_lock lock(mutex_);
  while (!wake_->wait_for(lock, times_.period, [this] { return stopping_; })) {
    lock.unlock();
    write();
    lock.lock();
  }
}

void StatisticsRecorder::after_fork(bool in_child) noexcept {
  if (in_child && file_) {
    thread_ = nullptr;
    made_at_ = Clock::now();
    wake_ = new std::condition_variable;
    try {
      file_->forget(collect_());
    } catch (const std::exception&) {
      file_.reset();  // out of memory: a child that counts nothing is no lie
    }
    started_ = !file_;
  }
  mutex_.unlock();
}

}  // namespace jit::inline v1
