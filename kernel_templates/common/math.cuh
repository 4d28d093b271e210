// Scalar fp32 functions of the special-function unit, one PTX instruction each.
//
// Errors are the PTX ISA's bounds; `ftz` flushes subnormal inputs and results to zero.
// Source: PTX ISA 9.0, 9.7.3 "Floating-Point Instructions".
#pragma once

namespace cubinet {

inline constexpr float kLog2E = 1.4426950408889634f;  // log2(e)
inline constexpr float kLn2 = 0.6931471805599453f;    // ln(2)

// 2^x, relative error <= 2^-22; exactly 0 for -infinity and for results below 2^-126; 2^0 is 1.
__device__ __forceinline__ float exp2_approx(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// log2(x), absolute error <= 2^-22 for x in [0.5, 2], else relative; log2(1) is 0.
__device__ __forceinline__ float log2_approx(float x) {
  float result;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// 1/x within 1 unit in the last place; exact for powers of two.
__device__ __forceinline__ float reciprocal_approx(float x) {
  float result;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// 1/x as IEEE division rounds it (to nearest even, subnormals kept): 1/+-0 is +-infinity.
__device__ __forceinline__ float reciprocal_ieee(float x) {
  float result;
  asm("rcp.rn.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}

// The smaller of a and b; the number if one of them is a NaN.
__device__ __forceinline__ float minimum(float a, float b) {
  float result;
  asm("min.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

// The larger of a and b; the number if one of them is a NaN.
__device__ __forceinline__ float maximum(float a, float b) {
  float result;
  asm("max.f32 %0, %1, %2;" : "=f"(result) : "f"(a), "f"(b));
  return result;
}

}  // namespace cubinet
