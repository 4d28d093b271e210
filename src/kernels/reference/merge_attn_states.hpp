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
  bool fp8_output = false;          // e4m3 with output_scale or groups; otherwise input_type
  std::uint32_t num_tokens = 0;
  std::uint32_t num_heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t num_context_tokens = 0;
  std::uint64_t input_head_stride = 0;
  std::uint64_t output_head_stride = 0;
  float output_scale = 1.0F;     // unused with groups
  std::uint32_t group_size = 0;  // elements that share a scale; 0: output_scale is that of all
  bool ue8m0_scales = false;     // scales of groups are powers of two
  std::uint64_t scale_token_stride = 0;  // of the scales of groups
  std::uint64_t scale_group_stride = 0;
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
  std::uint64_t scales = 0;
  std::uint64_t identical_scales = 0;  // that of the float64 values
  std::uint64_t wrong_scales = 0;      // that of no fp32 values within the tolerance
  std::string first_failure;           // where and what; empty if nothing is wrong

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
// Groups: a scale must be that of some values within the error of fp32, a few units in the last
// place of the weighted sides, of the float64 ones; of copies, exactly that of the values. Codes
// are judged by the scale that was written: within one code or that error, and unless scales are
// powers of two one of a group that is not all zeros must be +-448.
// `output_lse` may be null, `output_group_scales` only without groups. `output` holds num_tokens *
// num_heads rows at output_head_stride.
// Errors: kInvalidArgument for another input type.
MergeCheck check_merge(const MergeProblem& problem, const void* output, const float* output_lse,
                       const float* output_group_scales = nullptr);

// The scale of a group whose largest magnitude is `absmax`, rounded once: max(absmax, 1e-10F) /
// 448, for powers of two the smallest one that is not below. Infinity counts as the largest finite
// fp32.
float scale_of_group(double absmax, bool ue8m0) noexcept;

}  // namespace jit::inline v1::reference
