// test_late_copy: lets the next grid start at once, and copies after a while. Launch: one block.
#pragma once

#include "common/memory.cuh"
#include "test_late_copy/params.h"

namespace cubinet {
namespace test_late_copy {

__device__ __forceinline__ unsigned long long nanoseconds() {
  unsigned long long now;
  asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
  return now;
}

template <class Config>
__device__ void run(const Params& params) {
  allow_next_grids();
  wait_for_previous_grids();
  const unsigned long long end = nanoseconds() + params.delay_ns;
  while (nanoseconds() < end) {
  }
  for (unsigned int i = threadIdx.x; i < params.count; i += blockDim.x) {
    params.to[i] = params.from[i];
  }
}

}  // namespace test_late_copy
}  // namespace cubinet
