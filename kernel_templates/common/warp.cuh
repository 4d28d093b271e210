// Reductions over the lanes of a warp and of a quad, and values that all lanes share.
//
// Requires: all 32 lanes call it together.
// Order: fixed, and the same in every lane, so results are the same bit for bit each time and in
//        all lanes: with a, b, c, d the values of a quad's lanes, quad_sum is (a + b) + (c + d). A
//        warp's sum adds the quads' sums likewise: neighbours first, then pairs of them, and so on.
// Source: PTX ISA 9.0, 9.7.9.6 "shfl.sync".
#pragma once

#include "common/math.cuh"

namespace cubinet {

namespace detail {

// Sums over groups of LANES neighbouring lanes.
template <int LANES>
__device__ __forceinline__ float sum_of_lanes(float value) {
#pragma unroll
  for (int distance = 1; distance < LANES; distance *= 2) {
    value = __fadd_rn(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
  }
  return value;
}

template <int LANES>
__device__ __forceinline__ float maximum_of_lanes(float value) {
#pragma unroll
  for (int distance = 1; distance < LANES; distance *= 2) {
    value = maximum(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
  }
  return value;
}

}  // namespace detail

// Over the four lanes 4i to 4i + 3, which hold one row of a wgmma accumulator.
__device__ __forceinline__ float quad_sum(float value) { return detail::sum_of_lanes<4>(value); }

// A NaN counts for nothing, unless all are.
__device__ __forceinline__ float quad_max(float value) {
  return detail::maximum_of_lanes<4>(value);
}

__device__ __forceinline__ float warp_sum(float value) { return detail::sum_of_lanes<32>(value); }

// A NaN counts for nothing, unless all are.
__device__ __forceinline__ float warp_max(float value) {
  return detail::maximum_of_lanes<32>(value);
}

// The first lane's value: tells the compiler that it is the same in all lanes, so that what depends
// on it may stay in uniform registers and branch as one.
__device__ __forceinline__ int warp_uniform(int value) {
  return __shfl_sync(0xFFFFFFFFu, value, 0);
}
__device__ __forceinline__ unsigned int warp_uniform(unsigned int value) {
  return __shfl_sync(0xFFFFFFFFu, value, 0);
}

}  // namespace cubinet
