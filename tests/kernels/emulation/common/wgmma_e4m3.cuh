// common/wgmma_e4m3.cuh on the host.
#pragma once

#include "common/wgmma.cuh"

namespace cubinet {

template <int N>
void wgmma_e4m3_ss(float (&d)[N / 2], unsigned long long a, unsigned long long b, bool accumulate) {
  ::jit::test::Machine::current()->issue({N, d, a, nullptr, b, accumulate, false, true});
}
template <int N>
void wgmma_e4m3_rs(float (&d)[N / 2], const unsigned int (&a)[4], unsigned long long b,
                   bool accumulate) {
  ::jit::test::Machine::current()->issue({N, d, 0, a, b, accumulate, false, true});
}

}  // namespace cubinet
