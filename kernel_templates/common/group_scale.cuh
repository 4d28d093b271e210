// Scales of quantisation to e4m3 by groups: each group of elements has a scale of its own, found
// from its largest magnitude.
//
//   scale = max(absmax, 1e-10) / 448, as IEEE division rounds it
//   code  = e4m3(value * (1 / scale)), by the caller; 1 / scale as IEEE division rounds it
//
// A NaN counts for nothing in absmax, and infinities as the largest finite fp32: a scale is always
// finite, normal and above 2^-43. The largest finite magnitude of a group gets the code of 448
// exactly, if it is 1e-10 or more: the product is off by at most 3 units of fp32, while 448 takes
// all from 432 upwards.
//
// Power-of-two scales (UE8M0): the smallest power of two that is not below absmax / 448, found in
// the bits of the fp32, without a logarithm. A quotient that is a power of two stays as it is. The
// rounding of the division never hides what lies above one: the fp32 next to 448 * 2^k is 0.57
// units above it in the quotient, and rounds up. From 2^-42 to 2^120, so the exponent field of the
// fp32, 85 to 247, is the scale's UE8M0 code. No element of a group saturates then.
// Source: OCP Microscaling formats 1.0, 5.4.1 (E8M0); Markstein 2000, "IA-64 and elementary
//         functions", 8.2: division by a constant with one correction.
#pragma once

#include "common/math.cuh"

namespace cubinet {

// What a group is divided by, and what its elements are multiplied by.
struct GroupScale {
  float scale;
  float inverse;
};

namespace detail {

inline constexpr float kSmallestAbsmax = 1e-10f;
inline constexpr float kLargestFinite = 3.402823466e38f;

// Requires: 2^-100 <= value, finite.
__device__ __forceinline__ float divide_by_448(float value) {
  constexpr float kInverse = 1.0f / 448.0f;
  const float quotient = __fmul_rn(value, kInverse);
  return __fmaf_rn(__fmaf_rn(-448.0f, quotient, value), kInverse, quotient);
}

// Requires: value positive, normal and at most 2^127.
__device__ __forceinline__ float round_up_to_power_of_two(float value) {
  return __uint_as_float((__float_as_uint(value) + 0x007FFFFFu) & 0x7F800000u);
}

// Requires: a power of two from 2^-126 to 2^126.
__device__ __forceinline__ float reciprocal_of_power_of_two(float value) {
  return __uint_as_float(0x7F000000u - __float_as_uint(value));
}

}  // namespace detail

// The largest magnitude among the ELEMENTS of each of LANES neighbouring lanes, at least 1e-10 and
// finite; the same in all of them.
//
// Requires: every lane of the warp calls it. LANES is a power of two up to 32, and the lanes of a
//           group begin at a multiple of it.
template <int LANES, int ELEMENTS>
__device__ __forceinline__ float absmax_of_group(const float* values) {
  static_assert(LANES >= 1 && LANES <= 32 && (LANES & (LANES - 1)) == 0,
                "a group must lie within a warp: a power of two up to 32 lanes");
  float absmax = detail::kSmallestAbsmax;
#pragma unroll
  for (int i = 0; i < ELEMENTS; ++i) absmax = maximum(absmax, fabsf(values[i]));
#pragma unroll
  for (int distance = LANES / 2; distance > 0; distance /= 2) {
    absmax = maximum(absmax, __shfl_xor_sync(0xFFFFFFFFu, absmax, distance));
  }
  return minimum(absmax, detail::kLargestFinite);
}

// The scale of a group.
//
// Requires: `absmax` as absmax_of_group gives it.
template <bool USE_UE8M0>
__device__ __forceinline__ GroupScale scale_of_group(float absmax) {
  const float scale = detail::divide_by_448(absmax);
  if constexpr (USE_UE8M0) {
    const float power = detail::round_up_to_power_of_two(scale);
    return {power, detail::reciprocal_of_power_of_two(power)};
  } else {
    return {scale, reciprocal_ieee(scale)};
  }
}

}  // namespace cubinet
