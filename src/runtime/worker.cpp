#include "runtime/worker.hpp"

#include <future>
#include <memory>
#include <utility>

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
    jobs_.clear();
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

void Worker::post(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  start_locked();
  jobs_.push_back(std::move(job));
  wake_->notify_one();
}

void Worker::start_locked() {
  if (thread_ != nullptr) return;
  thread_ = new std::thread([this] { loop(); });
  thread_id_ = thread_->get_id();
}

void Worker::loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_->wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
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
    jobs_.clear();
    wake_ = new std::condition_variable;
  }
  mutex_.unlock();
  running_.unlock();
}

}  // namespace jit::inline v1
