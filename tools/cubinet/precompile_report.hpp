// Precompile report: progress while kernels are compiled, and what became of them.
#pragma once

#include <string>
#include <vector>

#include "cubinet/json.hpp"
#include "cubinet/work_message.hpp"

namespace jit::inline v1 {

// On a terminal one line of stderr that changes; elsewhere a line per compiled or failed kernel.
class Progress {
 public:
  Progress(std::size_t total, bool silent);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void finished(const KernelOutcome& outcome);

 private:
  void clear() const;

  std::size_t total_;
  std::size_t done_ = 0;
  bool silent_;
  bool terminal_;
};

struct Totals {
  std::size_t compiled = 0;
  std::size_t hits = 0;
  std::size_t failed = 0;
};
Totals totals_of(const std::vector<KernelOutcome>& outcomes);

std::string report_text(const std::vector<KernelOutcome>& outcomes, double elapsed_ms);
// Compiler logs only where `with_logs`.
Json report_json(const std::vector<KernelOutcome>& outcomes, double elapsed_ms, bool with_logs);

}  // namespace jit::inline v1
