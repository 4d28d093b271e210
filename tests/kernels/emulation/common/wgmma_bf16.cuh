// common/wgmma_bf16.cuh on the host.
#pragma once

#include "common/wgmma.cuh"

namespace cubinet {

template <int N, bool TRANSPOSE_A = false, bool TRANSPOSE_B = false>
void wgmma_bf16_ss(float (&d)[N / 2], unsigned long long a, unsigned long long b, bool accumulate) {
  static_assert(!TRANSPOSE_A, "not on the host");
  ::jit::test::Machine::current()->issue({N, d, a, nullptr, b, accumulate, TRANSPOSE_B});
}
template <int N, bool TRANSPOSE_B = false>
void wgmma_bf16_rs(float (&d)[N / 2], const unsigned int (&a)[4], unsigned long long b,
                   bool accumulate) {
  ::jit::test::Machine::current()->issue({N, d, 0, a, b, accumulate, TRANSPOSE_B});
}

}  // namespace cubinet
