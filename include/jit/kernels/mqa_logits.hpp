// mqa_logits: weighted ReLU scores of FP8 queries against contiguous FP8 keys (the indexer of
// sparse attention in prefill).
#pragma once

#include <cstdint>

#include "jit/abi.hpp"
#include "jit/kernel.hpp"
#include "jit/runtime.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::kernels {

// Operands of one call: m query tokens with h heads of d elements, n keys; all on the device.
//
//   score(i, p) = key_scales[p] * sum over heads of weights[i, head] *
//                 max(0, sum over d of query[i, head, :] * keys[p, :]),  starts[i] <= p < ends[i]
//
// Shapes: query [m, h, d] e4m3, without a scale of its own (fold it into weights).
//         keys [n, d] e4m3, key_scales [n] fp32. weights [m, h] fp32. starts, ends [m] int32, cut
//         to [0, n]; an end at or below its start is an empty row. logits [m, logits_width] f32 or
//         bf16, row stride logits_stride: score(i, p) lies in column p, or in column p - starts[i]
//         with compressed_logits. Columns from logits_width on are dropped.
// Written: those columns; the others below logits_width are -inf with clean_logits and else left as
//         they are.
// Source: DeepGEMM's fp8_mqa_logits, whose operands these are.
struct MqaLogitsArgs {
  std::int64_t num_tokens = 0;      // m
  std::int64_t num_keys = 0;        // n
  std::int64_t num_heads = 0;       // 16, 32 or 64
  std::int64_t head_dim = 128;      // 32, 64 or 128
  DType logits_type = DType::kF32;  // f32 or bf16

  const void* query = nullptr;        // 16-byte aligned
  const void* keys = nullptr;         // 16-byte aligned
  const float* key_scales = nullptr;  // 16-byte aligned
  const float* weights = nullptr;     // 16-byte aligned
  const std::int32_t* starts = nullptr;
  const std::int32_t* ends = nullptr;
  void* logits = nullptr;

  std::int64_t logits_width = 0;   // Units: elements; 0 means num_keys
  std::int64_t logits_stride = 0;  // Units: elements; 0 means logits_width
  std::int64_t num_workers = 0;    // thread blocks; 0 means the device's multiprocessors
  bool compressed_logits = false;
  bool clean_logits = false;
  bool programmatic_dependent = true;
};

// Launches the scores on `stream`; allocates nothing and may be captured into a CUDA graph.
//
// Requires: the stream belongs to the current context, of a device of compute capability 9.0.
// Errors: kInvalidArgument names the operand, its value and what was expected; nothing is launched.
//         Else those of get_kernel and Kernel::launch; kUnsupportedArch on another GPU. m = 0 or no
//         columns launch nothing, nor does n = 0 without clean_logits.
JIT_EXPORT void mqa_logits(Runtime& runtime, const MqaLogitsArgs& args, Stream stream);
JIT_EXPORT void mqa_logits(const MqaLogitsArgs& args, Stream stream);

}  // namespace jit::inline v1::kernels
