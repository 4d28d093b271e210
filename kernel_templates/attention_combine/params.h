// The launch parameters of attention_combine, shared by host and device.
#pragma once

namespace cubinet {
namespace attention_combine {

// Params of one launch: p parts of the attention of n tokens of s sequences and h heads of dv =
// kHeadDimV elements each.
//
// Shapes: part i of token t of head g: parts + (i * part_split_stride + t * part_token_stride +
//         g * part_head_stride), contiguous fp32; its LSE part_lse[i * lse_split_stride +
//         g * lse_head_stride + t], -infinity where the part has no keys: its elements are not read
//         then. Output: out + (t * out_token_stride + g * out_head_stride) elements;
//         lse[g * n + t].
// Units: strides are in elements.
// Requires: 1 to 128 parts; n * h below 2^31. parts and the strides of parts: multiples of 16
// bytes;
//           out and its strides: of 4 elements.
struct Params {
  const float* parts;         // [p, n, h, dv]
  const float* part_lse;      // [p, h, n]
  const int* cu_seqlens_q;    // [s + 1]: tokens of no sequence are left alone
  const int* seqused_q;       // [s]; null: as long as cu_seqlens_q says
  void* out;                  // [n, h, dv] bf16, or e4m3 with USE_FP8_OUTPUT
  float* lse;                 // [h, n]; null: not asked for
  const float* output_scale;  // [1]; only with USE_FP8_OUTPUT
  long long part_split_stride;
  long long part_token_stride;
  long long part_head_stride;
  long long lse_split_stride;
  long long lse_head_stride;  // of part_lse
  long long out_token_stride;
  long long out_head_stride;
  int num_parts;      // p
  int num_tokens;     // n
  int num_heads;      // h
  int num_sequences;  // s
};

static_assert(sizeof(Params) == 128, "host and device must agree on the layout of Params");

}  // namespace attention_combine
}  // namespace cubinet
