// common/warp.cuh on the host.
#pragma once

#include "block.hpp"
#include "common/math.cuh"

namespace cubinet {

inline unsigned int warp_uniform(unsigned int value) { return __shfl_sync(0xFFFFFFFFu, value, 0); }
inline int warp_uniform(int value) {
  return static_cast<int>(warp_uniform(static_cast<unsigned int>(value)));
}

inline float quad_sum(float value) {
  value += __shfl_xor_sync(0xFFFFFFFFu, value, 1);
  return value + __shfl_xor_sync(0xFFFFFFFFu, value, 2);
}
inline float quad_max(float value) {
  value = maximum(value, __shfl_xor_sync(0xFFFFFFFFu, value, 1));
  return maximum(value, __shfl_xor_sync(0xFFFFFFFFu, value, 2));
}

inline float warp_sum(float value) {
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    value += __shfl_xor_sync(0xFFFFFFFFu, value, distance);
  }
  return value;
}
inline float warp_max(float value) {
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    value = maximum(value, __shfl_xor_sync(0xFFFFFFFFu, value, distance));
  }
  return value;
}

}  // namespace cubinet
