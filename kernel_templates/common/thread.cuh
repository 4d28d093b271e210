// The calling thread's number in its block.
//
// Source: PTX ISA 9.0, 10.1 "Special Registers: %tid".
#pragma once

namespace cubinet {

// threadIdx.x, found out here: known before, what follows from it would take registers all the
// while.
__device__ __forceinline__ unsigned int thread_now() {
  unsigned int thread;
  asm volatile("mov.u32 %0, %%tid.x;" : "=r"(thread));
  return thread;
}

}  // namespace cubinet
