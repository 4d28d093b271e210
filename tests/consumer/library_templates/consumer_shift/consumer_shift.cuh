// consumer_shift: values[i] += OFFSET
// Launch: any grid and block
#pragma once

#include "common/types.cuh"
#include "consumer_shift/params.h"

namespace consumer {

template <class Config>
__device__ void shift(const ShiftParams& params) {
  const int step = static_cast<int>(gridDim.x * blockDim.x);
  for (int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); i < params.count;
       i += step) {
    params.values[i] += static_cast<float>(Config::OFFSET);
  }
}

}  // namespace consumer
