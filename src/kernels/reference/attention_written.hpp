// What a launch wrote of attention's output, and what not.
#pragma once

#include <cstdint>
#include <string>

#include "jit/abi.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::inline v1::reference {

// AttentionWritten counts positions that are as no launch may leave them.
struct AttentionWritten {
  std::uint64_t missing = 0;     // of a sequence, but still poison
  std::uint64_t trespasses = 0;  // of no sequence, but no longer poison
  std::uint64_t nan_codes = 0;   // of e4m3
  std::string first_failure;
};

// Looks at all of output and lse; for poison only with options.poisoned.
AttentionWritten check_written(const AttentionProblem& problem, const AttentionOutput& output,
                               const AttentionCheckOptions& options);

}  // namespace jit::inline v1::reference
