// Addresses in shared memory, as PTX instructions take them.
//
// Source: PTX ISA 9.0, 5.1.7 "Shared State Space", 9.7.9.20 "cvta".
#pragma once

namespace cubinet {

// The address within the block's shared window, 32 bits wide; valid as an address within the
// cluster's window too, where it means the calling block's own memory.
//
// Requires: a pointer into shared memory.
__device__ __forceinline__ unsigned int shared_address(const void* pointer) {
  return static_cast<unsigned int>(__cvta_generic_to_shared(pointer));
}

// The first address from `pointer` on that is a multiple of ALIGNMENT, in shared memory: dynamic
// shared memory begins at a multiple of 16 only.
template <unsigned int ALIGNMENT>
__device__ __forceinline__ void* align_shared(void* pointer) {
  static_assert(ALIGNMENT != 0 && (ALIGNMENT & (ALIGNMENT - 1)) == 0,
                "an alignment must be a power of two");
  const unsigned int misaligned = shared_address(pointer) & (ALIGNMENT - 1);
  return static_cast<char*>(pointer) + ((ALIGNMENT - misaligned) & (ALIGNMENT - 1));
}

}  // namespace cubinet
