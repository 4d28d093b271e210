// mla_prefill: attention of prefill with heads of their own (MLA after its up-projection, but MHA,
// GQA and MQA as well), for sequences of any lengths, with optional FP8 output.
#pragma once

#include <cstdint>
#include <span>

#include "jit/abi.hpp"
#include "jit/runtime.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::kernels {

// Operands of one call: s sequences of n query and m key tokens in all; h heads, h_kv of keys and
// values; d elements per head of queries and keys, dv of values; everything lies on the device.
//
//   output[i, head, :] = sum over j of softmax_j(softmax_scale * q[i, head, :] . k[j, head_kv, :])
//                        * v[j, head_kv, :],  head_kv = head / (h / h_kv)
//
// Sequences: tokens cu_seqlens_q[b] to cu_seqlens_q[b + 1] ask for keys cu_seqlens_k[b] to
//         cu_seqlens_k[b + 1], all of them or, with causal, those that end at the token's own place
//         counted from the end: query i of Lq sees key j of Lk if j <= i + Lk - Lq. A length may
//         be 0.
// Shapes: q [n, h, d], k [m, h_kv, d], v [m, h_kv, dv], bf16; output [n, h, dv]; lse [h, n] fp32,
//         natural logarithm, of softmax_scale times the products. Elements of a head are
//         contiguous; strides below. d, dv: 192, 128; 128, 128; 64, 64. With k_rope [m, 64] bf16,
//         one head for all, the last 64 elements of every key come from there, and k is
//         [m, h_kv, d - 64]; for d = 128 or 192.
// Written: output and lse of tokens cu_seqlens_q[0] to cu_seqlens_q[s], no others; a token that
//         sees no key has output 0 and LSE -inf. What lies beyond a sequence's own tokens and
//         keys, NaN included, changes nothing in it.
// FP8:    output = e4m3(attention * (1 / *output_scale)), one rounding, saturating at +-448; a NaN
//         becomes +448, so no NaN code is ever written.
// Groups: with output_group_size = g (64 or 128, a divisor of dv) instead: every g elements of a
//         row share a scale, which is written, as MergeAttnStatesArgs explains; same layouts.
// Result: the same bits each time, whatever the other sequences, the strides, num_workers and
//         work_counters, as long as n * h stays in one bucket: kernels of other tiles may add up in
//         another order. The LSE also whatever the type of the output.
// Limits: softmax_scale times a product of q and k stays below 2^30 in magnitude: it is fp32, and a
//         row beyond that may be NaN, or 0 with LSE -inf as if it saw no key. Values are finite: a
//         NaN or an infinity among a sequence's own may also make those of its rows NaN that do not
//         see it.
// Source: vLLM's prefill of MLA for the operands; FlashAttention-2 and -3 for the method.
struct MlaPrefillArgs {
  std::int64_t num_sequences = 0;
  std::int64_t num_query_tokens = 0;  // n
  std::int64_t num_key_tokens = 0;    // m; 0 without cu_seqlens_k means n
  std::int64_t num_heads = 0;         // up to 32,767
  std::int64_t num_kv_heads = 0;      // a divisor of num_heads; 0 means num_heads
  std::int64_t head_dim = 192;
  std::int64_t head_dim_v = 128;
  bool causal = true;
  float softmax_scale = 0;           // 0 means head_dim^-0.5
  DType output_type = DType::kBF16;  // bf16, f16 or f32; with FP8 output it says nothing

  const void* q = nullptr;  // 16-byte aligned, as k, v, k_rope and output
  const void* k = nullptr;  // k, v and k_rope are not asked for where m is 0
  const void* v = nullptr;
  const void* k_rope = nullptr;                // optional
  const std::int32_t* cu_seqlens_q = nullptr;  // [s + 1]
  const std::int32_t* cu_seqlens_k = nullptr;  // [s + 1]; null means cu_seqlens_q
  void* output = nullptr;
  float* lse = nullptr;                 // optional
  const float* output_scale = nullptr;  // one element on the device; makes the output e4m3

  // Units: elements; 0 means without gaps: a head stride its head's elements, a token stride all
  // heads' strides. Multiples of 16 bytes. A v that is the tail of [m, h_kv, dn + dv] has the head
  // stride dn + dv. No two rows of the output overlap.
  std::int64_t q_token_stride = 0;
  std::int64_t q_head_stride = 0;
  std::int64_t k_token_stride = 0;
  std::int64_t k_head_stride = 0;
  std::int64_t v_token_stride = 0;
  std::int64_t v_head_stride = 0;
  std::int64_t k_rope_token_stride = 0;
  std::int64_t output_token_stride = 0;
  std::int64_t output_head_stride = 0;

  // One scale per group of a token instead of output_scale; makes the output e4m3.
  float* output_group_scales = nullptr;        // written
  std::int64_t output_group_size = 0;          // 64 or 128; 0: no groups
  std::int64_t output_scale_token_stride = 0;  // Units: fp32 elements; both 0: row-major
  std::int64_t output_scale_group_stride = 0;
  bool use_ue8m0_scales = false;

  // Optional: two counters on the device by which thread blocks take work as they get free, which
  // balances long prefills better. Requires: 0 before the first launch (each launch leaves them
  // 0), and no two launches with the same ones at a time; one after the other in a stream is fine.
  std::uint32_t* work_counters = nullptr;
  std::int64_t num_workers = 0;        // thread blocks, at most; 0 means the multiprocessors
  bool programmatic_dependent = true;  // launch as a programmatic dependent of the preceding kernel
};

// Launches the attention on `stream`; allocates nothing and may be captured into a CUDA graph. The
// kernel is got from `runtime` by signature, which no count, length, stride or scale is part of.
//
// Requires: the stream belongs to the current context, of a device of compute capability 9.0.
//           cu_seqlens ascend from 0 or more to at most n and m. What is written lies, from its
//           first byte to its last, apart from every other operand.
// Errors: kInvalidArgument names the operand, its value and what was expected; nothing is launched.
//         Else those of get_kernel and Kernel::launch; kUnsupportedArch on another GPU. n = 0,
//         h = 0 or s = 0 launches nothing.
// Cost: as get_kernel + launch, and three or four tensor maps that are encoded once per address and
//       shape.
JIT_EXPORT void mla_prefill(Runtime& runtime, const MlaPrefillArgs& args, Stream stream);
JIT_EXPORT void mla_prefill(const MlaPrefillArgs& args, Stream stream);

// Keys that come before the new tokens of every sequence, or a part of them.
//
// Shapes: as in MlaPrefillArgs, whose heads hold here too.
struct MlaContextChunk {
  std::int64_t num_key_tokens = 0;  // a chunk without any changes nothing
  const void* k = nullptr;
  const void* v = nullptr;
  const void* k_rope = nullptr;                // optional, whatever the new tokens' keys have
  const std::int32_t* cu_seqlens_k = nullptr;  // [s + 1]

  // As in MlaPrefillArgs, whose strides do not count here: keys that were gathered from a cache lie
  // otherwise than those that were just computed.
  std::int64_t k_token_stride = 0;
  std::int64_t k_head_stride = 0;
  std::int64_t v_token_stride = 0;
  std::int64_t v_head_stride = 0;
  std::int64_t k_rope_token_stride = 0;
};

// Bytes of workspace for mla_prefill_with_context with these operands; 0 without chunks.
//
// Errors: kInvalidArgument for shapes that mla_prefill refuses. Of pointers it only counts whether
//         they are given.
JIT_EXPORT std::int64_t mla_prefill_workspace_bytes(const MlaPrefillArgs& args,
                                                    std::int64_t num_chunks);

// Attention of new tokens to a context in chunks and to themselves: every chunk is attended to
// without a mask, the new tokens with the one of `args`, and the parts are joined by their LSEs;
// the last join writes the output, in FP8 as mla_prefill does. That is one call over all keys of a
// sequence, those of the chunks in order and then its own, as long as a causal sequence has no
// more queries than keys of its own. Parts are fp32 for FP8 output, else of the output's type.
//
// Requires: as mla_prefill. Heads of the output one after the other: a head stride may be given, a
//           token stride only if it is h * head stride or h is 1. `workspace`: 256-byte aligned,
//           mla_prefill_workspace_bytes on the device, used by no other launch meanwhile.
// Written: output and lse of all n tokens; those of tokens in no sequence mean nothing.
// Errors: as mla_prefill; all operands are checked, and all kernels there, before the first launch.
// Cost: 1 + 2 launches per chunk that has keys.
JIT_EXPORT void mla_prefill_with_context(Runtime& runtime, const MlaPrefillArgs& args,
                                         std::span<const MlaContextChunk> chunks, void* workspace,
                                         Stream stream);
JIT_EXPORT void mla_prefill_with_context(const MlaPrefillArgs& args,
                                         std::span<const MlaContextChunk> chunks, void* workspace,
                                         Stream stream);

}  // namespace jit::inline v1::kernels
