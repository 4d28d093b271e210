// test_find_part: each block finds its part by THREADS threads. Launch: grid (workers), block
// (THREADS), or with 32 a larger one, whose first warp does it.
#pragma once

#include "common/memory_int.cuh"
#include "mqa_shared/schedule.cuh"
#include "test_find_part/params.h"

namespace cubinet {
namespace test_find_part {

template <class Config>
__device__ void run(const Params& params) {
  namespace schedule = mqa::schedule;
  __shared__ schedule::FindPartMemory<Config::THREADS> memory;
  if (threadIdx.x >= Config::THREADS) return;
  const schedule::Lengths lengths{params.context_lens, params.batch, params.next_n,
                                  params.max_context_len};
  const schedule::Part part =
      schedule::find_part<Config::THREADS>(lengths, blockIdx.x, gridDim.x, &memory);
  const bool is_last = threadIdx.x == Config::THREADS - 1;
  if (threadIdx.x != 0 && !is_last) return;
  int* const to = params.parts + (2ull * blockIdx.x + is_last) * 4;
  store_int(to, static_cast<int>(part.first_request));
  store_int(to + 1, static_cast<int>(part.first_split));
  store_int(to + 2, static_cast<int>(part.end_request));
  store_int(to + 3, static_cast<int>(part.end_split));
}

}  // namespace test_find_part
}  // namespace cubinet
