#include "runtime/worker.hpp"

#include <future>
#include <memory>
#include <utility>

#include "runtime/quiet_thread.hpp"

namespace jit::inline v1 {

Worker::Worker() {
  auto wake = std::make_unique<std::condition_variable>();
  wake_ = wake.get();
  join();  // which may want memory
  static_cast<void>(wake.release());
}

Worker::~Worker() {
  leave();
  stop();
  delete wake_;
}

void Worker::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    drop_locked();
  }
  wake_->notify_all();
  if (thread_ != nullptr) {
    thread_->join();
    delete std::exchange(thread_, nullptr);
  }
}

void Worker::run(const std::function<void()>& job) {
  const auto run_alone = [this, &job] {
    const std::lock_guard running(running_);
    inside_ = true;
    const auto leave = [](bool* inside) { *inside = false; };
    const std::unique_ptr<bool, decltype(leave)> reset(&inside_, leave);
    job();
  };
  if (std::this_thread::get_id() == thread_id_) return inside_ ? job() : run_alone();
  std::exception_ptr error;  // here and not in the future, so that one thread alone has it
  auto task = std::make_shared<std::packaged_task<void()>>([&] {
    try {
      run_alone();
    } catch (...) {
      error = std::current_exception();
    }
  });
  std::future<void> done = task->get_future();
  post([task] { (*task)(); });
  done.get();
  if (error != nullptr) std::rethrow_exception(error);
}

void Worker::post(std::function<void()> job, Turn turn) {
  std::unique_lock lock(mutex_);
  if (stopping_) return;
  start_locked();
  if (turn == Turn::kFirst) jobs_.push_front(std::move(job));
  else jobs_.push_back(std::move(job));
  wake(std::move(lock));
}

void Worker::post_in(std::chrono::milliseconds delay, std::function<void()> job) {
  std::unique_lock lock(mutex_);
  if (stopping_) return;
  start_locked();
  later_.emplace(Clock::now() + delay, std::move(job));
  wake(std::move(lock));
}

void Worker::wake(std::unique_lock<std::mutex> lock) {
  // One that looks by itself before it sleeps needs no system call. The others are woken when the
  // lock is free, so that they do not run into it.
  if (!std::exchange(asleep_, false)) return;
  std::condition_variable* const wake = wake_;
  lock.unlock();
  wake->notify_one();
}

void Worker::start_locked() {
  if (thread_ != nullptr) return;
  thread_ = new std::thread(make_quiet_thread([this] { loop(); }));
  thread_id_ = thread_->get_id();
}

void Worker::drop_locked() {
  jobs_.clear();
  later_.clear();
}

// What is due joins the others.
void Worker::wait_for_job(std::unique_lock<std::mutex>& lock) {
  while (!stopping_) {
    while (!later_.empty() && later_.begin()->first <= Clock::now()) {
      jobs_.push_back(std::move(later_.extract(later_.begin()).mapped()));
    }
    if (!jobs_.empty()) return;
    asleep_ = true;
    if (later_.empty()) {
      wake_->wait(lock);
    } else {
      // A copy: it is looked at again after the wait, when the job may have been dropped.
      const Clock::time_point due = later_.begin()->first;
      wake_->wait_until(lock, due);
    }
    asleep_ = false;
  }
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wait_for_job(lock);
    if (stopping_) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it holds may want the lock
    lock.lock();
  }
}

void Worker::before_fork() noexcept {
  running_.lock();
  mutex_.lock();
}

void Worker::after_fork(bool in_child) noexcept {
  if (in_child) {
    thread_ = nullptr;
    thread_id_ = std::thread::id();
    inside_ = false;
    asleep_ = false;
    drop_locked();
    wake_ = new std::condition_variable;
  }
  mutex_.unlock();
  running_.unlock();
}

}  // namespace jit::inline v1
