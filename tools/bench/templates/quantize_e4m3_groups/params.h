// The launch parameters of quantize_e4m3_groups, shared by host and device.
#pragma once

namespace cubinet {
namespace quantize_e4m3_groups {

// Shapes: input [num_packs * 16 bytes], output one e4m3 code per element, scales one per group of
//         neighbouring elements; input and output 16-byte aligned.
// Requires: whole groups.
struct Params {
  const void* input;
  void* output;
  float* scales;  // written
  unsigned long long num_packs;
};
static_assert(sizeof(Params) == 32, "host and device must agree on the layout of Params");

}  // namespace quantize_e4m3_groups
}  // namespace cubinet
