// The launch parameters of quantize_e4m3, shared by host and device.
#pragma once

namespace cubinet {
namespace quantize_e4m3 {

// Shapes: input [num_packs * 16 bytes], output one e4m3 code per element; both 16-byte aligned.
struct Params {
  const void* input;
  void* output;
  const float* scale;  // [1], on the device
  unsigned long long num_packs;
};
static_assert(sizeof(Params) == 32, "host and device must agree on the layout of Params");

}  // namespace quantize_e4m3
}  // namespace cubinet
