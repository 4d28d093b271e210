// Work messages: what goes between `cubinet precompile` and its worker processes, one JSON object a
// line.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cubinet/precompile/precompile_plan.hpp"
#include "jit/error.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

enum class KernelState : std::uint8_t {
  kHit,
  kCompiled,
  kFailed,
  kRefused,  // it does not compile; only where that is no failure, see Refusals
  kBusy,     // another process is at it; only between worker and command
  kNotDone,  // the command was stopped before
};
std::string_view name_of(KernelState state) noexcept;  // "hit"

// What became of one kernel.
struct KernelOutcome {
  KernelState state = KernelState::kFailed;
  PrecompileReport report;
  unsigned retries = 0;  // how often its worker was lost and it was tried again
  // Of a failure.
  std::string error_code;
  std::string error;
  std::string log;
  std::string reproduction;
};

// What is kRefused, and no failure.
enum class Refusals : std::uint8_t {
  kNone,
  kAsserts,  // what a static_assert of the template refuses
  kAll,      // whatever the compiler, or the manifest, says no to
};

// How a job is to be done.
struct WorkManner {
  bool wait = true;  // for another process that is at it; else that is kBusy
  Refusals refusals = Refusals::kNone;
};

// A job as a worker reads it.
struct WorkOrder {
  std::string name;
  std::string arch;
  std::string debug;
  std::vector<std::pair<std::string, std::string>> constants;  // all of them
  WorkManner manner;
};

// One line, without a newline.
std::string encode(const KernelJob& job, const WorkManner& manner);
std::string encode(const KernelOutcome& outcome);
// Errors: std::exception for a line that encode did not make.
WorkOrder decode_order(const std::string& line);
KernelOutcome decode_outcome(const std::string& line);

// Runs the kernel through `runtime`; what it throws becomes a failure.
KernelOutcome precompile_here(Runtime& runtime, const KernelJob& job,
                              const WorkManner& manner = {});
KernelOutcome failure(const Error& error);
KernelOutcome failure(ErrorCode code, std::string message);

}  // namespace jit::inline v1
