// common/math.cuh in place of PTX: the same contracts on the host.
#pragma once

#include "warp.hpp"

namespace cubinet {

inline constexpr float kLog2E = 1.4426950408889634f;
inline constexpr float kLn2 = 0.6931471805599453f;

inline float exp2_approx(float x) {
  const float result = std::exp2(x);
  return result < 0x1p-126f ? 0.0f : result;
}
inline float log2_approx(float x) { return std::log2(x); }
inline float reciprocal_approx(float x) { return 1.0f / x; }
inline float reciprocal_ieee(float x) { return 1.0f / x; }
inline float minimum(float a, float b) { return std::fmin(a, b); }
inline float maximum(float a, float b) { return std::fmax(a, b); }

}  // namespace cubinet
