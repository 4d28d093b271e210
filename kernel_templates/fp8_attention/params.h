// The launch parameters of fp8_attention, shared by host and device.
#pragma once

#include "common/tensor_map.h"
#include "fp8_attention/tile.h"

namespace cubinet {
namespace fp8_attention {

// A factor per (sequence, key head), on the device. Null: 1. Units: strides in elements.
struct Descale {
  const float* data;
  long long sequence_stride;
  long long head_stride;
};

// Params of one launch: s sequences, n query and m key tokens in all, h heads, h_kv of keys and
// values, d = kHeadDim, dv = kHeadDimV, w and wv the bytes of their slabs (slab_bytes), g =
// kPackGqa.
//
// Shapes: e4m3 where nothing else is said. Tensor maps swizzle by w bytes. One of queries is
//         {w, g, n, d / w, h / g}, its box {w, g, kBlockM / g, d / w, 1}: rows are tokens, the g
//         heads of one after the other. One of keys is {w, m, d / w, h_kv} with the box
//         {w, kBlockN, d / w, 1}; with kPageRows {w, page_size, d / w, h_kv, pages} with the box
//         {w, copied_rows, 1, 1, 1}; of values the same with dv and wv.
//         Part p of token t of head i: out + (p * out_split_stride + t * out_token_stride +
//         i * out_head_stride) elements; lse[p * lse_split_stride + i * lse_head_stride + t].
// Requires: num_heads = h, a multiple of heads_per_kv, that one of kPackGqa; n, m, n * h and
//           tokens of all pages below 2^31.
struct Params {
  TensorMap q;
  TensorMap k;
  TensorMap v;
  const int* cu_seqlens_q;      // [s + 1]
  const int* cu_seqlens_k;      // [s + 1]; null with kPageRows
  const int* seqused_q;         // [s]; null: as long as cu_seqlens_q says
  const int* seqused_k;         // [s]; null: as long as cu_seqlens_k says; not with kPageRows
  const int* page_table;        // [s, pages of a sequence]; only with kPageRows
  long long page_table_stride;  // Units: elements, as all strides
  Descale q_descale;
  Descale k_descale;
  Descale v_descale;
  const unsigned short* sinks;  // [h] bf16; only with SINKS
  void* out;                    // [n, h, dv] bf16, e4m3 with USE_FP8_OUTPUT, fp32 parts with SPLIT
  float* lse;                   // [h, n]; null: not asked for; parts with SPLIT
  const float* output_scale;    // [1]; only with USE_FP8_OUTPUT
  unsigned int* work_counters;  // [2], see attention_shared/work.cuh; null: without
  long long out_split_stride;
  long long out_token_stride;
  long long out_head_stride;
  long long lse_split_stride;
  long long lse_head_stride;
  float softmax_scale_log2;  // softmax_scale * log2(e); above 0; with SOFTCAP log2(e) * softcap
  float softcap_factor;      // softmax_scale / softcap; only with SOFTCAP
  int window_left;           // keys before its own place that a query sees; only with WINDOW, where
  int window_right;          // the most is 2^30; and after it; 0 under CAUSAL
  int num_sequences;         // s
  int num_heads;             // h
  int heads_per_kv;          // h / h_kv
  int page_size;             // tokens of a page, a multiple of kPageRows
  int num_splits;            // parts of a sequence's keys; 1 without SPLIT
  int split_tiles;           // key tiles of a part; the last part has the rest
};

static_assert(sizeof(Params) == 640, "host and device must agree on the layout of Params");

}  // namespace fp8_attention
}  // namespace cubinet
