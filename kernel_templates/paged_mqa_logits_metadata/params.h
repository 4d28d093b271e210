// The launch parameters of paged_mqa_logits_metadata, shared by host and device.
#pragma once

namespace cubinet {
namespace paged_mqa_logits_metadata {

// Params of one launch: a grid of one block.
//
// Shapes: context_lens [b, n]; request b has ceil(max over its row / 64) splits, a length below 0
//         counting as 0 and one beyond max_context_len as that. schedule [num_workers + 1, 2]:
//         worker i does the splits from (request, split) at i up to that at i + 1; the last entry
//         is (b, 0). Workers differ by one split at most, the last ones having more.
struct Params {
  const int* context_lens;
  int* schedule;
  unsigned int batch;   // b >= 0
  unsigned int next_n;  // n >= 1
  unsigned int max_context_len;
  unsigned int num_workers;  // >= 1
};

static_assert(sizeof(Params) == 32, "host and device must agree on the layout of Params");

}  // namespace paged_mqa_logits_metadata
}  // namespace cubinet
