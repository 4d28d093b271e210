// Trace: what a Runtime does, on a time line for Perfetto and chrome://tracing.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "base/file_descriptor.hpp"
#include "base/log.hpp"
#include "base/span.hpp"
#include "runtime/fork_support.hpp"

namespace jit::inline v1 {

// Trace appends events to a file in the JSON array format: "[", then one event per line with a
// comma after it, and no "]", which the format leaves out; so the file can be loaded at any time,
// also when a process was killed, and several processes may write to one. Times are of
// CLOCK_MONOTONIC, the same for all processes of a machine.
//
// Events are kept in memory and written by a thread of its own, which starts with the first: soon
// after they came, when 64 KiB are full, at the end and at exit. No request waits for the file.
// When it cannot be written there is one warning, and no trace from there on.
//
// Threads: any. Fork: the child's events go to the same file, or to one of its own if the name has
// a %p; what the parent has not written is the parent's.
class Trace final : public SpanSink, private ForkAware {
 public:
  // `file` may be empty: then it does nothing. "%p" in its name becomes the process id.
  Trace(const std::filesystem::path& file, Logger logger);
  ~Trace() override;

  // For spans; null where there is no trace.
  SpanSink* sink() noexcept { return enabled_ ? this : nullptr; }
  // Cost: some microseconds; allocates.
  void add(std::string_view name, Clock::time_point begin, Clock::time_point end,
           std::string_view args) noexcept override;
  // Writes what there is, and waits for it.
  void write() noexcept;

 private:
  void before_fork() noexcept override;
  void after_fork(bool in_child) noexcept override;
  void at_exit() noexcept override;
  void add_names(pid_t thread);
  void wake_writer();
  void loop();
  // Takes what is in the buffer to the file. Returns: why it could not; else an empty string; and
  // how many events were dropped. Requires: writing_ is held.
  std::string drain(std::uint64_t& dropped) noexcept;
  // Returns: why it could not; else an empty string.
  std::string append(std::string_view text);
  std::string open();
  void give_up() noexcept;

  const std::filesystem::path file_;
  const Logger logger_;
  const bool enabled_;
  std::mutex writing_;  // the file; taken before the other
  UniqueFd fd_;
  std::mutex mutex_;  // everything below
  std::string buffer_;
  std::set<pid_t> named_;  // threads
  std::uint64_t dropped_ = 0;
  bool broken_ = false;
  bool stopping_ = false;
  std::condition_variable* wake_;  // made anew in a child
  std::thread* thread_ = nullptr;  // a child abandons it
};

}  // namespace jit::inline v1
