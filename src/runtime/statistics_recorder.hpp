// StatisticsRecorder: brings the counts of one Runtime to disk, where nobody waits for it.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>

#include "cache/statistics_file.hpp"
#include "runtime/fork_support.hpp"

namespace jit::inline v1 {

struct RecorderTimes {
  std::chrono::milliseconds quiet{1'000};  // before there is a thread
  std::chrono::milliseconds period{10'000};
};

// StatisticsRecorder writes when it is told to, when it ends, when the process exits, and every ten
// seconds if something has changed; that takes a thread, which starts with the first tick after a
// second: a process that ends sooner, or never ticks again, has none. It writes nothing where
// nothing was counted, and nothing at all without a directory that may be written to. A failure to
// write is nobody's news: the next write says it all.
//
// Threads: any. Fork: the child counts from zero, into a file of its own.
class StatisticsRecorder final : private ForkAware {
 public:
  using Collect = std::function<Counts()>;
  using Clock = std::chrono::steady_clock;

  // Lifetime: `directory`, which may be null, outlives it.
  // Requires: `collect` takes no lock and its counts only grow.
  StatisticsRecorder(const Directory* directory, Collect collect, RecorderTimes times = {});
  ~StatisticsRecorder() override;  // writes

  // Says that time has passed and that some of it may be spent here: a few nanoseconds, once the
  // start of a thread. Writes nothing and waits for nobody.
  void tick() noexcept;

  // Writes what has changed. Cost: two system calls; the first time some 20, and a fold may be due.
  void write() noexcept;

 private:
  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool in_child) noexcept override;
  void at_exit() noexcept override { write(); }
  void start() noexcept;
  void loop();

  Collect collect_;
  const RecorderTimes times_;
  Clock::time_point made_at_ = Clock::now();
  std::atomic<bool> started_{false};  // or never to be
  std::mutex mutex_;                  // everything below
  std::optional<StatisticsFile> file_;
  std::condition_variable* wake_;  // made anew in a child: the old one has a waiter that is gone
  std::thread* thread_ = nullptr;  // a child abandons it
  bool stopping_ = false;
};

}  // namespace jit::inline v1
