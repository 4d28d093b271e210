// The float64 reference of merge_attn_states, in plain C++ on host memory: the semantics of
// kernel_templates/merge_attn_states, computed exactly on the stored inputs and rounded once.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jit/abi.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::reference {

// MergeProblem is one call on host memory.
//
// Shapes: outputs [num_tokens, num_heads, head_size] with the head strides below (elements), token
//         stride = num_heads * head stride; LSEs [num_heads, num_tokens].
struct MergeProblem {
  DType input_type = DType::kBF16;  // kF32, kF16 or kBF16
  bool fp8_output = false;          // e4m3 with output_scale; otherwise input_type
  std::uint32_t num_tokens = 0;
  std::uint32_t num_heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t num_context_tokens = 0;
  std::uint64_t input_head_stride = 0;
  std::uint64_t output_head_stride = 0;
  float output_scale = 1.0F;
  const void* prefix_output = nullptr;
  const void* suffix_output = nullptr;
  const float* prefix_lse = nullptr;
  const float* suffix_lse = nullptr;
};

// MergeCheck is what comparing a result with the reference found.
struct MergeCheck {
  std::uint64_t elements = 0;
  std::uint64_t identical = 0;  // same bits (in FP8: same code; +0 and -0 count as the same)
  std::uint64_t wrong = 0;      // beyond the tolerance, or not bit-exact where it must be
  std::uint64_t wrong_lse = 0;
  double worst_lse_error = 0.0;  // |error| / max(1, |reference|)
  std::string first_failure;     // where and what; empty if nothing is wrong

  // Nothing is wrong, and enough elements are identical: 99 % for 16-bit, 99.5 % for FP8 outputs.
  bool passed(const MergeProblem& problem) const;
};

// Compares a result element by element with the float64 reference.
//
// Tolerances: fp32 1e-6 + 4 units in the last place of max(|prefix|, |suffix|); fp16 and bf16 one
// unit in the last place of the larger weighted side; FP8 one code of the quantised reference, and
// never a NaN code; LSE 2e-6 * max(1, |LSE|), -infinity exactly. Rows that are copies (one side
// empty, both empty, no context) must match bit for bit; in FP8 they must equal the conversion of
// float(value) * (1.0f / scale).
// `output_lse` may be null. `output` holds num_tokens * num_heads rows at output_head_stride.
// Errors: kInvalidArgument for another input type.
MergeCheck check_merge(const MergeProblem& problem, const void* output, const float* output_lse);

}  // namespace jit::inline v1::reference
