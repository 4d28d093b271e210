// The launch parameters of mla_prefill, shared by host and device.
#pragma once

#include "attention_shared/tile.h"
#include "common/tensor_map.h"

namespace cubinet {
namespace mla_prefill {

// Params of one launch: s sequences, n query and m key tokens in all, h heads, h_kv of keys and
// values, d = kHeadDim, dv = kHeadDimV, bf16.
//
// Shapes: a tensor map of heads is 4-D: 64 elements, tokens, the pieces of 64 elements that a head
//         has, heads; its box is {64, tokens of a tile, all pieces, 1}, its swizzle 128 bytes.
//         Token t of head g: out + (t * out_token_stride + g * out_head_stride) elements,
//         lse[g * lse_head_stride + t]. The scale of group i of (t, g) lies at
//         t * scale_token_stride + (g * (dv / FP8_GROUP_SIZE) + i) * scale_group_stride.
// Requires: num_heads = h, a multiple of heads_per_kv; n, m, n * h below 2^31.
struct Params {
  TensorMap q;                  // {64, n, d / 64, h}, box {64, kBlockM, d / 64, 1}
  TensorMap k;                  // {64, m, (d - kRopeDim) / 64, h_kv}, box of kBlockN tokens
  TensorMap v;                  // {64, m, dv / 64, h_kv}, box of kBlockN tokens
  TensorMap k_rope;             // {64, m}, box {64, kBlockN}; only with kRopeDim
  const int* cu_seqlens_q;      // [s + 1]
  const int* cu_seqlens_k;      // [s + 1]
  void* out;                    // [n, h, dv] OUTPUT_TYPE, or e4m3 with USE_FP8_OUTPUT
  float* lse;                   // [h, n]; null: not asked for
  const float* output_scale;    // [1]; only with USE_FP8_OUTPUT and no groups
  float* group_scales;          // written; only with FP8_GROUP_SIZE
  unsigned int* work_counters;  // [2], see attention_shared/work.cuh; null: without
  long long out_token_stride;   // Units: elements, as all strides
  long long out_head_stride;
  long long lse_head_stride;
  long long scale_token_stride;
  long long scale_group_stride;
  float softmax_scale_log2;  // softmax_scale * log2(e); above 0
  int num_sequences;         // s
  int num_heads;             // h
  int heads_per_kv;          // h / h_kv
};

static_assert(sizeof(Params) == 640, "host and device must agree on the layout of Params");

}  // namespace mla_prefill
}  // namespace cubinet
