// Loads from and stores to global memory of single integers. As common/memory.cuh: aligned to their
// size, in program order among all volatile accesses, never by the non-coherent path.
//
// Source: PTX ISA 9.0, 9.7.9.8 "ld", 9.7.9.12 "st".
#pragma once

namespace cubinet {

// With `active` false it makes no access and returns 0.
__device__ __forceinline__ int load_int(const int* address, bool active) {
  int value = 0;
  asm volatile(
      "{\n\t.reg .pred active;\n\t"
      "setp.ne.b32 active, %2, 0;\n\t"
      "@active ld.global.b32 %0, [%1];\n\t}"
      : "+r"(value)
      : "l"(address), "r"(static_cast<int>(active))
      : "memory");
  return value;
}

__device__ __forceinline__ void store_int(int* address, int value) {
  asm volatile("st.global.b32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}

__device__ __forceinline__ void store_2_bytes(void* address, unsigned short value) {
  asm volatile("st.global.b16 [%0], %1;" ::"l"(address), "h"(value) : "memory");
}

}  // namespace cubinet
