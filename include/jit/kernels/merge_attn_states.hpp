// merge_attn_states: merges two attention outputs by their log-sum-exps, optionally to FP8.
#pragma once

#include <cstdint>
#include <optional>

#include "jit/abi.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1::kernels {

// The operands of one merge. n tokens, h heads, d = head_size; everything lies on the device.
//
// Shapes: outputs [n, h, d], elements of a head contiguous; a head may be padded (head strides),
//         the token stride is h * head stride. LSEs [h, n] contiguous, natural logarithm.
// Row by row: a side whose LSE is -inf or +inf is empty and ignored, whatever its memory holds;
//         both empty: output = prefix, LSE = -inf. Tokens >= num_context_tokens have no prefix:
//         output = suffix, LSE = suffix LSE as given. A NaN LSE makes the row NaN.
// FP8:    output = e4m3(merged * (1 / *output_scale)), saturating at +-448; a NaN becomes +448, so
//         no NaN code is ever written. A zero scale saturates, a NaN scale gives +448.
// Groups: with output_group_size = g (64 or 128, a divisor of d) every g elements in a row share
//         a scale of their own, which is written: scale = max(largest magnitude, 1e-10) / 448, and
//         output = e4m3(merged * (1 / scale)). With use_ue8m0_scales the scale is rounded up to a
//         power of two, still as fp32. A NaN counts for nothing in a scale (and becomes +448), an
//         infinity as the largest finite fp32 (and becomes +-448): scales are finite, never 0. A
//         group of zeros has the scale 1e-10 / 448.
//         The scale of group i of (token, head) lies at token * output_scale_token_stride +
//         (head * (d / g) + i) * output_scale_group_stride. With s = h * (d / g) scales per token:
//           row-major [n, s]                        strides s, 1; also what 0, 0 means
//           column-major                            strides 1, n
//           column-major for TMA, 16-byte columns   strides 1, n rounded up to a multiple of 4
//         Elements between the scales, such as that padding, are not written.
// Source: vLLM's merge_attn_states, whose operands and edge cases these are.
struct MergeAttnStatesArgs {
  std::int64_t num_tokens = 0;
  std::int64_t num_heads = 0;
  std::int64_t head_size = 0;
  DType input_type = DType::kBF16;  // f32, f16 or bf16

  const void* prefix_output = nullptr;  // [n, h, d] input_type, 16-byte aligned
  const void* suffix_output = nullptr;  // [n, h, d] input_type, 16-byte aligned
  const float* prefix_lse = nullptr;    // [h, n]
  const float* suffix_lse = nullptr;    // [h, n]
  void* output = nullptr;               // [n, h, d] input_type, or e4m3 with a scale or groups
  float* output_lse = nullptr;          // [h, n]; optional
  const float* output_scale = nullptr;  // one element on the device; makes the output e4m3

  std::int64_t input_head_stride = 0;              // Units: elements; 0 means head_size
  std::int64_t output_head_stride = 0;             // Units: elements; 0 means head_size
  std::optional<std::int64_t> num_context_tokens;  // nullopt means num_tokens

  // One scale per group of a token instead of output_scale; makes the output e4m3.
  float* output_group_scales = nullptr;        // written
  std::int64_t output_group_size = 0;          // Units: elements; 64 or 128; 0: no groups
  std::int64_t output_scale_token_stride = 0;  // Units: fp32 elements
  std::int64_t output_scale_group_stride = 0;  // Units: fp32 elements
  bool use_ue8m0_scales = false;

  // Launch as a programmatic dependent of the preceding kernel in the stream.
  bool programmatic_dependent = false;
};

// Launches the merge on `stream`; the kernel is got from `runtime` by signature, which no token
// count is part of.
//
// Requires: the stream belongs to the current context. No output overlaps an input or
//           another output.
// Errors: kInvalidArgument names the operand, its value and what was expected (a null pointer, an
//         unaligned one, a stride below the head size, n * h of 2^31 or more, both kinds of scales,
//         scale strides that put two scales into one place, ...); nothing is launched. Else those
//         of get_kernel and Kernel::launch. n = 0 or h = 0 launches nothing.
// Cost: as get_kernel + launch.
JIT_EXPORT void merge_attn_states(Runtime& runtime, const MergeAttnStatesArgs& args, Stream stream);
JIT_EXPORT void merge_attn_states(const MergeAttnStatesArgs& args, Stream stream);

}  // namespace jit::inline v1::kernels
