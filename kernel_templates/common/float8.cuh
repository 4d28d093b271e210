// 8-bit floats to fp32, exactly: what common/types.cuh packs. A NaN code becomes a NaN.
//
// Arch: sm_89 and later.
// Source: PTX ISA 9.0, 9.7.9.21 "cvt"; OCP 8-bit floating point specification 1.0, section 5.
#pragma once

namespace cubinet {

namespace detail {

// Every value of an 8-bit float is a value of f16.
__device__ __forceinline__ void unpack_f16x2(unsigned int halves, float& low, float& high) {
  asm("{\n\t.reg .b16 low, high;\n\t"
      "mov.b32 {low, high}, %2;\n\t"
      "cvt.f32.f16 %0, low;\n\t"
      "cvt.f32.f16 %1, high;\n\t}"
      : "=f"(low), "=f"(high)
      : "r"(halves));
}

}  // namespace detail

// Two codes, that of `low` in the lower byte.
__device__ __forceinline__ void unpack_e4m3(unsigned short codes, float& low, float& high) {
  unsigned int halves;
  asm("cvt.rn.f16x2.e4m3x2 %0, %1;" : "=r"(halves) : "h"(codes));
  detail::unpack_f16x2(halves, low, high);
}

__device__ __forceinline__ void unpack_e5m2(unsigned short codes, float& low, float& high) {
  unsigned int halves;
  asm("cvt.rn.f16x2.e5m2x2 %0, %1;" : "=r"(halves) : "h"(codes));
  detail::unpack_f16x2(halves, low, high);
}

// The four e4m3 codes of a word, that of values[0] in the lowest byte.
__device__ __forceinline__ void unpack_e4m3_word(unsigned int word, float* values) {
  unpack_e4m3(static_cast<unsigned short>(word), values[0], values[1]);
  unpack_e4m3(static_cast<unsigned short>(word >> 16), values[2], values[3]);
}

}  // namespace cubinet
