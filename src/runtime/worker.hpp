// Worker: the one background thread of a Runtime. NVRTC does not scale with threads, so every
// compile of a process goes through here, one after the other.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "runtime/fork_support.hpp"

namespace jit::inline v1 {

// The thread starts with the first job. It has a stack of its own, so that a compile does not
// depend on the caller's (engines run on small ones).
// Fork: waits for what runs through run(); the child starts with no thread and no jobs.
class Worker final : private ForkAware {
 public:
  Worker();
  ~Worker() override;  // stops

  // Waits for the running job; jobs not begun, and those that come later, are dropped.
  // Requires: no run() goes on or comes.
  void stop();

  // Runs `job` on the thread and waits for it; what it throws is thrown here. On the thread itself
  // it runs at once. Requires: the job does not fork.
  void run(const std::function<void()>& job);
  // Runs `job` on the thread some time. Requires: it throws nothing. No fork waits for it.
  void post(std::function<void()> job);

 private:
  void before_fork() noexcept override;
  void after_fork(bool in_child) noexcept override;
  void start_locked();
  void loop();

  std::mutex mutex_;               // everything below
  std::mutex running_;             // held while a job of run() runs
  std::condition_variable* wake_;  // made anew in a child: the old one has waiters that are gone
  std::deque<std::function<void()>> jobs_;
  std::thread* thread_ = nullptr;           // a child abandons it
  std::atomic<std::thread::id> thread_id_;  // read without the mutex
  bool inside_ = false;                     // the thread is in run(); its own
  bool stopping_ = false;
};

}  // namespace jit::inline v1
