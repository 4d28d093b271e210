// Precompile report: what became of the kernels.
#pragma once

#include <string>
#include <vector>

#include "cubinet/json.hpp"
#include "cubinet/precompile/work_message.hpp"

namespace jit::inline v1 {

struct Totals {
  std::size_t compiled = 0;
  std::size_t hits = 0;
  std::size_t failed = 0;
  std::size_t refused = 0;
  std::size_t not_done = 0;
  std::size_t retries = 0;  // of all kernels
};

// One run of the command.
struct PrecompileRun {
  std::vector<KernelOutcome> outcomes;
  std::vector<std::string> lost;  // what recordings asked for in vain
  std::size_t workers = 0;
  double elapsed_ms = 0;
  int stopped_by = 0;  // a signal; 0: none

  Totals totals() const;
  double rate() const;  // compiled kernels per second; 0 if none was compiled
};

// A line per kernel, unless they are many and not `all` are wanted: then those that failed and
// those that took longest. The last line counts.
std::string report_text(const PrecompileRun& run, bool all);
// Compiler logs only where `with_logs`.
Json report_json(const PrecompileRun& run, bool with_logs);

}  // namespace jit::inline v1
