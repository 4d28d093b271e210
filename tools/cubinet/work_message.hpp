// Work messages: what goes between `cubinet precompile` and its worker processes, one JSON object a
// line.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "cubinet/precompile_plan.hpp"
#include "jit/error.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

enum class KernelState : std::uint8_t { kHit, kCompiled, kFailed };
std::string_view name_of(KernelState state) noexcept;  // "hit"

// What became of one kernel.
struct KernelOutcome {
  KernelState state = KernelState::kFailed;
  PrecompileReport report;
  // Of a failure.
  std::string error_code;
  std::string error;
  std::string log;
  std::string reproduction;
};

// A job as a worker reads it.
struct WorkOrder {
  std::string name;
  std::string arch;
  std::string debug;
  std::vector<std::pair<std::string, std::string>> constants;  // all of them
};

// One line, without a newline.
std::string encode(const KernelJob& job);
std::string encode(const KernelOutcome& outcome);
// Errors: std::exception for a line that encode did not make.
WorkOrder decode_order(const std::string& line);
KernelOutcome decode_outcome(const std::string& line);

// Runs the kernel through `runtime`; what it throws becomes a failure.
KernelOutcome precompile_here(Runtime& runtime, const KernelJob& job);
KernelOutcome failure(const Error& error);
KernelOutcome failure(ErrorCode code, std::string message);

}  // namespace jit::inline v1
