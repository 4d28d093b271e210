// The launch parameters of paged_mqa_logits, shared by host and device.
#pragma once

#include "common/tensor_map.h"
#include "mqa_shared/tile.h"

namespace cubinet {
namespace paged_mqa_logits {

// Params of one launch. b requests of n = kNextN query tokens, h = kNumHeads heads of d = kHeadDim
// e4m3 elements; keys lie in pages of kBlockKV tokens.
//
// Shapes: a page is kBlockKV * d bytes of e4m3 keys, then kBlockKV fp32 scales, then padding up to
//         page_stride. Row b * n + t of weights and logits belongs to token t of request b.
// Requires: page_stride a multiple of 16; pages and queries 16-byte aligned; entries of the block
//           table below ceil(length / kBlockKV) name pages, others are never read.
struct Params {
  TensorMap keys;     // 3-D {d, kBlockKV, pages}, box {d, kBlockKV, 1}, swizzle of d bytes
  TensorMap queries;  // 2-D {d, b * n * h}, box {d, h}, swizzle of d bytes
  const unsigned char* pages;
  const float* weights;            // [b * n, h]
  const int* context_lens;         // [b, n]; below 0 counts as 0, beyond max_context_len as that
  const int* block_table;          // [b, ...]
  const int* schedule;             // [gridDim.x + 1, 2]; null unless HAS_SCHEDULE
  void* logits;                    // [b * n, max_context_len] LOGITS_TYPE
  unsigned long long page_stride;  // Units: bytes
  long long block_table_stride;    // Units: entries
  long long logits_stride;         // Units: elements
  unsigned int batch;
  unsigned int max_context_len;
};

static_assert(sizeof(void*) == 8, "paged_mqa_logits needs 64-bit pointers");
static_assert(sizeof(Params) == 384, "host and device must agree on the layout of Params");

}  // namespace paged_mqa_logits
}  // namespace cubinet
