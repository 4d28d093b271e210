// Descriptors of wgmma operands in uniform registers, where the instruction takes them from.
#pragma once

namespace cubinet {
namespace attention {

// The same descriptor, found once per tile and not once per instruction: its address comes out of a
// reduction over the warp, whose result is uniform, and steps from it are then uniform too.
//
// Requires: all lanes call it together, with the same descriptor.
__device__ __forceinline__ unsigned long long uniform_descriptor(unsigned long long descriptor) {
  const unsigned int address = __reduce_or_sync(0xFFFFFFFFu, static_cast<unsigned int>(descriptor));
  return (descriptor & 0xFFFFFFFF00000000ull) | address;
}

// advance_k of common/swizzle.cuh without a carry into the upper half, which addresses of shared
// memory never have.
__device__ __forceinline__ unsigned long long advance_uniform(unsigned long long descriptor,
                                                              unsigned int bytes) {
  const unsigned int address = static_cast<unsigned int>(descriptor) + (bytes >> 4);
  return (descriptor & 0xFFFFFFFF00000000ull) | address;
}

}  // namespace attention
}  // namespace cubinet
