// Order of calculations and waits, beyond what the language has.
#pragma once

#include "common/shared.cuh"

namespace cubinet {
namespace attention {

// Has a value found, and all that it follows from, before what comes next, such as a wait for a
// product: the assembler moves calculations below a wait as it likes, and the product would run
// alone. A store that depends on the value and never happens stays where it is.
//
// Requires: the value is not below 0; `shared` is any word of shared memory.
__device__ __forceinline__ void find_now(float value, void* shared) {
  asm volatile(
      "{\n\t.reg .pred never;\n\t"
      "setp.lt.f32 never, %0, 0f00000000;\n\t"
      "@never st.shared.f32 [%1], %0;\n\t}" ::"f"(value),
      "r"(shared_address(shared))
      : "memory");
}

}  // namespace attention
}  // namespace cubinet
