// test_registers: one warpgroup gives registers to the others, which then hold more values at once
// than the launch gave them registers. Launch: grid (1 or more), block (THREADS).
#pragma once

#include "common/sync.cuh"
#include "test_registers/params.h"

namespace cubinet {
namespace test_registers {

// Each round mixes neighbouring values, so that all of them are needed until the last.
template <class Config>
__device__ __forceinline__ void hold(const Params& params) {
  unsigned int values[Config::LIVE];
#pragma unroll
  for (int i = 0; i < Config::LIVE; ++i)
    values[i] = params.words[i * Config::THREADS + threadIdx.x];
#pragma unroll 1
  for (unsigned int round = 0; round < params.rounds; ++round) {
#pragma unroll
    for (int i = 0; i < Config::LIVE; ++i) {
      values[i] = values[i] * 5u + values[(i + Config::LIVE / 2) % Config::LIVE];
    }
  }
#pragma unroll
  for (int i = 0; i < Config::LIVE; ++i)
    params.results[i * Config::THREADS + threadIdx.x] = values[i];
}

template <class Config>
__device__ void run(const Params& params) {
  if (threadIdx.x < 128) {
    register_release<Config::RELEASED>();
    for (int i = 0; i < Config::LIVE; ++i) {
      const int at = i * Config::THREADS + static_cast<int>(threadIdx.x);
      params.results[at] = params.words[at] + 1;
    }
  } else {
    register_allocate<Config::ALLOCATED>();
    hold<Config>(params);
  }
}

}  // namespace test_registers
}  // namespace cubinet
