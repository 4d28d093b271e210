// consumer_scale: values[i] *= FACTOR
// Launch: any grid and block
#pragma once

#include "common/types.cuh"
#include "consumer_scale/params.h"

namespace consumer {

template <class Config>
__device__ void scale(const ScaleParams& params) {
  const int step = static_cast<int>(gridDim.x * blockDim.x);
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < params.count;
       i += step) {
    params.values[i] *= static_cast<float>(Config::FACTOR);
  }
}

}  // namespace consumer
