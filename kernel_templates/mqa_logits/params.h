// The launch parameters of mqa_logits, shared by host and device.
#pragma once

#include "common/tensor_map.h"
#include "mqa_shared/tile.h"

namespace cubinet {
namespace mqa_logits {

// Params of one launch. m query tokens of h = kNumHeads heads of d = kHeadDim e4m3 elements.
//
// Shapes: n keys. Row i of logits: column p stands for key p, or for key starts[i] + p with
//         COMPRESSED_LOGITS. Keys in [starts[i], ends[i]) are scored, both cut to [0, n], as far as
//         they have a column below logits_width; other columns below it are -inf with CLEAN_LOGITS,
//         else left as they are.
// Requires: m, n and logits_width below 2^31 - 256; ceil(m / kBlockQ) * ceil(n / 64) below 2^31.
//           Without keys (n = 0) their maps may be those of anything.
struct Params {
  TensorMap keys;           // 2-D {d, n}, box {d, 64}, swizzle of d bytes
  TensorMap key_scales;     // 1-D {n} fp32, box {64}
  TensorMap queries;        // 2-D {d, m * h}, box {d, h}, swizzle of d bytes
  const float* weights;     // [m, h]
  const int* starts;        // [m]
  const int* ends;          // [m]
  void* logits;             // [m, logits_width] LOGITS_TYPE
  long long logits_stride;  // Units: elements
  unsigned int num_tokens;  // m
  unsigned int num_keys;    // n
  unsigned int logits_width;
  unsigned int reserved;
};

static_assert(sizeof(Params) == 448, "host and device must agree on the layout of Params");

}  // namespace mqa_logits
}  // namespace cubinet
