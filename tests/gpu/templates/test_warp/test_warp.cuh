// test_warp: every reduction in every lane. Launch: any grid of whole warps.
#pragma once

#include "common/warp.cuh"
#include "test_warp/params.h"

namespace cubinet {
namespace test_warp {

template <class Config>
__device__ void run(const Params& params) {
  const unsigned int i = blockIdx.x * blockDim.x + threadIdx.x;
  const float value = params.values[i];
  params.results[i] = {quad_sum(value), quad_max(value),     warp_sum(value),
                       warp_max(value), warp_uniform(7 * i), warp_uniform(-static_cast<int>(i))};
}

}  // namespace test_warp
}  // namespace cubinet
