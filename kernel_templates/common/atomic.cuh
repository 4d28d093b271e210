// Atomic additions to global memory, one PTX instruction each: the value before.
//
// Requires: an address aligned to 4 bytes.
// Source: PTX ISA 9.0, 9.7.13.3 "atom".
#pragma once

namespace cubinet {

// Orders nothing else.
__device__ __forceinline__ unsigned int atomic_add(unsigned int* address, unsigned int value) {
  unsigned int before;
  asm volatile("atom.relaxed.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(address), "r"(value)
               : "memory");
  return before;
}

// What this thread did before is done for all threads of the device that see the new value, and
// what they did before theirs is done for this one.
__device__ __forceinline__ unsigned int atomic_add_acq_rel(unsigned int* address,
                                                           unsigned int value) {
  unsigned int before;
  asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
               : "=r"(before)
               : "l"(address), "r"(value)
               : "memory");
  return before;
}

}  // namespace cubinet
