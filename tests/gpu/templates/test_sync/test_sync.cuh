// test_sync: data handed over by named barriers, and elections. Launch: any grid, block (256), no
// dynamic shared memory.
#pragma once

#include "common/sync.cuh"
#include "test_sync/params.h"

namespace cubinet {
namespace test_sync {

// The first half writes and goes on, the second waits and reads.
template <int ID>
__device__ __forceinline__ void hand_over(const Params& params, unsigned int (*slots)[kThreads]) {
  constexpr unsigned int kHalf = kThreads / 2;
  const unsigned int place = threadIdx.x % kHalf;
  if (threadIdx.x < kHalf) {
    for (unsigned int wait = place / 32; wait > 0; --wait) __nanosleep(500);
    slots[ID - 1][place] = 1000 * ID + place;
    named_barrier_arrive<ID>(kThreads);
  } else {
    named_barrier_sync<ID>(kThreads);
    params.handed[(ID - 1) * kHalf + place] = slots[ID - 1][kHalf - 1 - place];
  }
  if constexpr (ID < static_cast<int>(kBarriers)) hand_over<ID + 1>(params, slots);
}

// Each half has a barrier of its own, and each thread takes its neighbour's value, many times.
__device__ __forceinline__ void circle(const Params& params, unsigned int* slots) {
  constexpr unsigned int kHalf = kThreads / 2;
  const unsigned int id = 1 + threadIdx.x / kHalf;
  const unsigned int first = threadIdx.x / kHalf * kHalf;
  unsigned int value = threadIdx.x;
  for (unsigned int round = 0; round < kRounds; ++round) {
    slots[threadIdx.x] = value;
    named_barrier_sync(id, kHalf);
    value = slots[first + (threadIdx.x + 1) % kHalf] + 1;
    named_barrier_sync(3 + id, kHalf);
  }
  params.circled[threadIdx.x] = value;
}

// As hand_over, through a barrier that is known at run time.
__device__ __forceinline__ void hand_over_at(const Params& params, unsigned int id,
                                             unsigned int* slots) {
  constexpr unsigned int kHalf = kThreads / 2;
  const unsigned int place = threadIdx.x % kHalf;
  if (threadIdx.x < kHalf) {
    slots[place] = 1000 * (kBarriers + 1) + place;
    named_barrier_arrive(id, kThreads);
  } else {
    named_barrier_sync(id, kThreads);
    params.handed[kBarriers * kHalf + place] = slots[kHalf - 1 - place];
  }
}

template <class Config>
__device__ void run(const Params& params) {
  __shared__ unsigned int slots[kBarriers][kThreads];
  hand_over<1>(params, slots);
  __syncthreads();
  circle(params, slots[0]);
  __syncthreads();
  hand_over_at(params, 8 + params.reserved, slots[1]);
  unsigned int elected = 0;
  for (unsigned int round = 0; round < kRounds; ++round) elected += elect_one() ? 1u : 0u;
  params.elected[threadIdx.x] = elected;
}

}  // namespace test_sync
}  // namespace cubinet
