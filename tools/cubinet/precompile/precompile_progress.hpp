// Progress: what is seen while kernels are compiled.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>

#include "cubinet/precompile/work_message.hpp"

namespace jit::inline v1 {

// How progress is shown: on a terminal one line of stderr that changes, with what is done, the
// rate, the time left and the workers; elsewhere such a line for the first kernel, for the last,
// and at most once a second between; with --json only the terminal's. Failures and notes are lines
// of their own, always.
class Progress {
 public:
  Progress(std::size_t total, bool json);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // From here on kernels are compiled: what came before were hits, and counts for no rate.
  void begin();
  void finished(const KernelOutcome& outcome);
  void note(const std::string& text);
  // Time has passed, and so many workers are busy.
  void tick(std::size_t workers);

 private:
  using Clock = std::chrono::steady_clock;

  std::string line() const;
  void show_on_terminal();
  void show_in_log();
  void clear();

  std::size_t total_;
  std::size_t done_ = 0;
  std::size_t done_before_ = 0;  // when begin() was called
  std::size_t failed_ = 0;
  std::size_t workers_ = 0;
  std::string last_;  // "compiled merge_attn_states[...]"
  Clock::time_point begin_;
  Clock::time_point shown_;
  bool terminal_;
  bool log_;
};

}  // namespace jit::inline v1
