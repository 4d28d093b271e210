// TensorMap: what the tensor memory accelerator knows of a tensor, shared by host and device.
#pragma once

namespace cubinet {

// TensorMap describes a tensor in global memory, the box that one copy moves, and how the box lies
// in shared memory. The driver encodes it (jit::make_tensor_map); its bits are the driver's own. It
// travels to the device within a kernel's Params, by value, and never changes while a launch that
// has it is under way.
// Source: CUDA driver API 13.0, "Tensor Map Object Management": CUtensorMap, 128 bytes.
struct alignas(64) TensorMap {
  unsigned long long words[16];
};

static_assert(sizeof(TensorMap) == 128, "a tensor map takes 128 bytes");

}  // namespace cubinet
