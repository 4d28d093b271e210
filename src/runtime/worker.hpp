// Worker: a thread of a Runtime and its jobs. NVRTC does not scale with threads, so every compile
// of a process goes through one of them, one after the other.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "runtime/fork_support.hpp"

namespace jit::inline v1 {

// The thread starts with the first job. It has a stack of its own, so that a compile does not
// depend on the caller's (engines run on small ones), and takes none of the program's signals.
// Fork: waits for what runs through run(); the child starts with no thread and no jobs.
class Worker final : private ForkAware {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Turn : bool { kLast, kFirst };

  Worker();
  ~Worker() override;  // stops

  // Waits for the running job; jobs not begun, and those that come later, are dropped.
  // Requires: no run() goes on or comes.
  void stop();

  // Runs `job` on the thread and waits for it; what it throws is thrown here. On the thread itself
  // it runs at once. Requires: the job does not fork.
  void run(const std::function<void()>& job);
  // Runs `job` on the thread some time, after all that are there or before them.
  // Requires: it throws nothing, and what it holds may end under the Worker's lock.
  // No fork waits for it. Errors: std::system_error where there are no threads to be had.
  void post(std::function<void()> job, Turn turn = Turn::kLast);
  // The same, not before `delay` has passed.
  void post_in(std::chrono::milliseconds delay, std::function<void()> job);

 private:
  void before_fork() noexcept override;
  void after_fork(bool in_child) noexcept override;
  void start_locked();
  void drop_locked();
  void wake(std::unique_lock<std::mutex> lock);
  void wait_for_job(std::unique_lock<std::mutex>& lock);
  void loop();

  std::mutex mutex_;               // everything below
  std::mutex running_;             // held while a job of run() runs
  std::condition_variable* wake_;  // made anew in a child: the old one has waiters that are gone
  std::deque<std::function<void()>> jobs_;
  std::multimap<Clock::time_point, std::function<void()>> later_;
  std::thread* thread_ = nullptr;           // a child abandons it
  std::atomic<std::thread::id> thread_id_;  // read without the mutex
  bool inside_ = false;                     // the thread is in run(); its own
  bool asleep_ = false;                     // the thread waits, and nobody has woken it
  bool stopping_ = false;
};

}  // namespace jit::inline v1
