// Order of calculations and waits, beyond what the language has.
#pragma once

#include "common/shared.cuh"

namespace cubinet {
namespace attention {

// Has these values found before what follows, such as a wait for a product: the assembler moves
// calculations below a wait as it likes, and the product would run alone. A store that depends on
// them and never happens stays where it is.
//
// Requires: values are not negative, and not all of them NaN; `shared` is any word of shared
// memory.
template <int COUNT>
__device__ __forceinline__ void find_now(const float (&weights)[COUNT], void* shared) {
  const float sum = weights[1] + weights[COUNT / 4] + weights[COUNT / 8 * 3] + weights[COUNT / 2];
  asm volatile(
      "{\n\t.reg .pred never;\n\t"
      "setp.lt.f32 never, %0, 0f00000000;\n\t"
      "@never st.shared.f32 [%1], %0;\n\t}" ::"f"(sum),
      "r"(shared_address(shared))
      : "memory");
}

}  // namespace attention
}  // namespace cubinet
