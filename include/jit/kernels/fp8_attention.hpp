// fp8_attention: attention of e4m3 queries, keys and values, prefill and decode, whose sums over
// long contexts are kept in fp32 at the speed of sums that are not.
#pragma once

#include <cstdint>

#include "jit/abi.hpp"
#include "jit/runtime.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::kernels {

// A factor per (sequence, key head): element data[b * sequence_stride + head * head_stride] on the
// device. Units: elements; a stride of 0 is one factor for all. Null data: 1.
struct Fp8Descale {
  const float* data = nullptr;
  std::int64_t sequence_stride = 0;
  std::int64_t head_stride = 0;
};

// Operands of one call: s sequences of n query and m key tokens in all; h heads, h_kv of keys and
// values; d elements per head of queries and keys, dv of values; everything lies on the device.
//
//   output[i, head, :] = sum over j of softmax_j(S_ij) * v_descale * v[j, head_kv, :]
//   S_ij = softmax_scale * (q_descale * q[i, head, :]) . (k_descale * k[j, head_kv, :]),
//   softcap * tanh(S_ij / softcap) of that with softcap;  head_kv = head / (h / h_kv)
//
// Sequences: tokens cu_seqlens_q[b] to cu_seqlens_q[b + 1] ask for keys cu_seqlens_k[b] to
//         cu_seqlens_k[b + 1]; seqused_q[b] and seqused_k[b], if given, are the lengths instead, of
//         as many of the first ones. A length may be 0.
// Pages:  with page_table, k and v are [num_pages, page_size, h_kv, d]; key j of sequence b is
//         token j % page_size of page page_table[b, j / page_size], for j < seqused_k[b].
// Masks:  query i of Lq sees key j of Lk if j <= i + Lk - Lq with causal, and, with windows,
//         i + Lk - Lq - window_left <= j <= i + Lk - Lq + window_right.
// Shapes: q [n, h, d], k [m, h_kv, d], v [m, h_kv, dv], e4m3; output [n, h, dv] bf16; lse [h, n]
//         fp32, natural logarithm. d = dv: 64, 96, 128, 192, 256; or d 192 with dv 128. Elements of
//         a head are contiguous; strides below.
// Written: output and lse of the sequences' tokens, no others; a token that sees no key has output
//         0 and LSE -inf (with a sink: the sink). What lies beyond a sequence's own tokens and
//         keys, NaN included, changes nothing in it.
// Sinks:  sinks[head], bf16, is the score of one more key, whose value is 0.
// FP8:    output = e4m3(attention * (1 / *output_scale)), one rounding, saturating at +-448; a NaN
//         becomes +448, so no NaN code is ever written.
// Numerics: weights are e4m3 of 2^8 times the weight relative to the largest so far; their sum is
//         of the unrounded ones, fp32. The tensor cores' sums of products with the values keep
//         about 13 bits: they are added to fp32 after every accum_interval key tiles. 0: only at
//         the end, which loses long contexts; it is there to be compared with.
// Result: the same bits each time, whatever the other sequences, strides, page_size, num_workers
//         and work_counters, as long as the kernel's kBlockN and the splits are the same. Weights
//         are rounded relative to the largest of the tiles so far, so that with other tiles, as
//         decode and prefill may have them, or parts bits differ: see invariant.
// Limits: softmax_scale times a product of q and k stays below 2^23 in magnitude with its descales,
//         beyond which weights no longer come near 2^8; q_descale * k_descale is 0 or more without
//         softcap; values are finite: a NaN among a sequence's own keys may reach rows that do not
//         see it.
// Source: vLLM's and FlashAttention-3's FP8 forward for the operands; FlashAttention-2 and -3 for
//         the method.
struct Fp8AttentionArgs {
  std::int64_t num_sequences = 0;
  std::int64_t num_query_tokens = 0;  // n
  std::int64_t num_key_tokens = 0;    // m; 0 without cu_seqlens_k means n; not asked for with pages
  // Of any sequence, or more. The first chooses the kernel and splits only, 0 means n; the other
  // one splits only, 0 means m, or all of a table's row.
  std::int64_t max_query_tokens = 0;
  std::int64_t max_key_tokens = 0;
  std::int64_t num_heads = 0;     // up to 32,767
  std::int64_t num_kv_heads = 0;  // a divisor of num_heads; 0 means num_heads
  std::int64_t head_dim = 128;
  std::int64_t head_dim_v = 0;  // 0 means head_dim
  bool causal = true;
  std::int64_t window_left = -1;   // -1: unbounded
  std::int64_t window_right = -1;  // with causal it does not count beyond 0
  float softmax_scale = 0;         // 0 means head_dim^-0.5
  float softcap = 0;               // 0: without

  const void* q = nullptr;  // 16-byte aligned, as k, v and output
  const void* k = nullptr;  // k and v are not asked for where m is 0
  const void* v = nullptr;
  const std::int32_t* cu_seqlens_q = nullptr;  // [s + 1]
  const std::int32_t* cu_seqlens_k = nullptr;  // [s + 1]; null means cu_seqlens_q; not with pages
  const std::int32_t* seqused_q = nullptr;     // [s], optional
  const std::int32_t* seqused_k = nullptr;     // [s], optional; with pages it must be given
  Fp8Descale q_descale;                        // per (sequence, key head), as k's and v's
  Fp8Descale k_descale;
  Fp8Descale v_descale;
  const void* sinks = nullptr;  // [h] bf16, optional
  void* output = nullptr;
  float* lse = nullptr;                 // optional
  const float* output_scale = nullptr;  // one element on the device; makes the output e4m3

  const std::int32_t* page_table = nullptr;  // [s, max_pages]; makes k and v paged
  std::int64_t page_table_stride = 0;        // Units: elements; 0 means max_pages
  std::int64_t max_pages = 0;                // of a sequence
  std::int64_t num_pages = 0;                // of k and v
  // Tokens of a page; with heads of 64 or 192 elements a multiple of 2, of 96 a multiple of 4.
  std::int64_t page_size = 0;

  // Units: elements; 0 means without gaps: a head stride its head's elements, a token stride all
  // heads' strides, a page stride all tokens' strides. Multiples of 16 bytes. No two rows of the
  // output overlap.
  std::int64_t q_token_stride = 0;
  std::int64_t q_head_stride = 0;
  std::int64_t k_page_stride = 0;
  std::int64_t k_token_stride = 0;
  std::int64_t k_head_stride = 0;
  std::int64_t v_page_stride = 0;
  std::int64_t v_token_stride = 0;
  std::int64_t v_head_stride = 0;
  std::int64_t output_token_stride = 0;
  std::int64_t output_head_stride = 0;

  // 1: every key tile; N: every N of them, up to 64, with d up to 128; 0: never.
  std::int64_t accum_interval = 1;
  // Query heads of a key head that one block has beside each other: 1, 4, 8 or 16; 0 means the most
  // that divides h / h_kv. Changes no bit where accum_interval is 0 or 1.
  std::int64_t pack_gqa = 0;
  // Parts of the keys that different blocks take, joined by a second kernel: 1 means none, up to
  // 128; 0 as many as keep the GPU busy and the workspace holds, none with window_left. Parts
  // beyond a sequence's keys cost little.
  std::int64_t num_splits = 0;
  // A token gets the same bits in decode as in prefill, whatever max_query_tokens: all kernels of a
  // d have the same key tiles then, tuned ones as well, and keys are not split. Costs what splits
  // gain, which is most of the speed of a few long sequences in decode. Not with accum_interval
  // above 1.
  bool invariant = false;
  void* workspace = nullptr;         // 256-byte aligned; used by no other launch meanwhile
  std::int64_t workspace_bytes = 0;  // fp8_attention_workspace_bytes or more

  // Optional: two counters on the device by which thread blocks take work as they get free, which
  // balances long prefills better. Requires: 0 before the first launch (each launch leaves them
  // 0), and no two launches with the same ones at a time; one after the other in a stream is fine.
  std::uint32_t* work_counters = nullptr;
  std::int64_t num_workers = 0;        // thread blocks, at most; 0 means as many as fit
  bool programmatic_dependent = true;  // launch as a programmatic dependent of the preceding kernel
};

// Launches the attention on `stream`; allocates nothing and may be captured into a CUDA graph. The
// kernel is got from `runtime` by signature, which no count, length, stride or scale is part of.
//
// Requires: the stream belongs to the current context, of a device of compute capability 9.0.
//           cu_seqlens ascend from 0 or more to at most n and m; page numbers of keys that are used
//           are in [0, num_pages). What is written lies apart from every other operand.
// Errors: kInvalidArgument names the operand, its value and what was expected; nothing is launched.
//         Else those of get_kernel and Kernel::launch; kUnsupportedArch on another GPU. n = 0,
//         h = 0 or s = 0 launches nothing.
// Cost: as get_kernel + launch, twice with splits, and three tensor maps that are encoded once per
//       address and shape.
JIT_EXPORT void fp8_attention(Runtime& runtime, const Fp8AttentionArgs& args, Stream stream);
JIT_EXPORT void fp8_attention(const Fp8AttentionArgs& args, Stream stream);

// Bytes of workspace with which fp8_attention splits these operands' keys as it would like to on a
// GPU of `multiprocessors`, or as num_splits says; 0 where it would not split.
//
// Errors: kInvalidArgument for shapes that fp8_attention refuses. Of pointers it only counts that
//         page_table is given or not.
JIT_EXPORT std::int64_t fp8_attention_workspace_bytes(const Fp8AttentionArgs& args,
                                                      std::int64_t multiprocessors = 132);

}  // namespace jit::inline v1::kernels
