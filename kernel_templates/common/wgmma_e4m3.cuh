// D[64 x N] = A[64 x 32] * B[32 x N] + D by a warpgroup: e4m3 operands, fp32 accumulators.
//
// A and B are K-major: element k of row m of A, and of column n of B, is byte k of a row of a
// SwizzledTile (common/swizzle.cuh). In registers or fragments, with lane = thread % 32, warp =
// thread % 128 / 32 and i the register:
//   D: d[i] is row 16 * warp + lane / 4 + 8 * (i / 2 % 2),
//      column 8 * (i / 4) + 2 * (lane % 4) + i % 2
//   A: byte j of a[i] is row 16 * warp + lane / 4 + 8 * (i % 2),
//      k = 16 * (i / 2) + 4 * (lane % 4) + j
//
// Requires: as common/wgmma.cuh says. Arch: sm_90a.
// Numerics: products are exact; sums keep fewer bits than fp32 does (about 13 of the fraction below
//           the largest term) and are truncated, within an instruction and where it adds to D.
// Source: PTX ISA 9.0, 9.7.15.5.2 "wgmma.mma_async", 9.7.15.5.1.1 "Register Fragments": .m64nNk32.
#pragma once

#include "common/wgmma.cuh"
#include "common/wgmma_operands.cuh"

namespace cubinet {

namespace detail {

// Partial specialisations: only that of an N in use is looked into, which keeps compiling fast.
template <int N, class Unused>
struct WgmmaE4m3 {
  static_assert(N < 0, "N must be a multiple of 8 from 8 to 256");
};

#define CUBINET_WGMMA_E4M3(N, I0, I1, I2, I3, I4, I5, I6)                                          \
  template <class Unused>                                                                          \
  struct WgmmaE4m3<N, Unused> {                                                                    \
    __device__ __forceinline__ static void ss(float (&d)[N / 2], unsigned long long a,             \
                                              unsigned long long b, bool accumulate) {             \
      asm volatile("{\n\t.reg .pred accumulate;\n\tsetp.ne.b32 accumulate, %" #I2                  \
                   ", 0;\n\twgmma.mma_async.sync.aligned.m64n" #N                                  \
                   "k32.f32.e4m3.e4m3 {" CUBINET_WGMMA_NAMES_##N "}, %" #I0 ", %" #I1              \
                                                                 ", accumulate, 1, 1;\n\t}"        \
                   : CUBINET_WGMMA_DATA_##N                                                        \
                   : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));                           \
    }                                                                                              \
    __device__ __forceinline__ static void rs(float (&d)[N / 2], const unsigned int (&a)[4],       \
                                              unsigned long long b, bool accumulate) {             \
      asm volatile("{\n\t.reg .pred accumulate;\n\tsetp.ne.b32 accumulate, %" #I5                  \
                   ", 0;\n\twgmma.mma_async.sync.aligned.m64n" #N                                  \
                   "k32.f32.e4m3.e4m3 {" CUBINET_WGMMA_NAMES_##N                                   \
                   "}, {%" #I0 ", %" #I1 ", %" #I2 ", %" #I3 "}, %" #I4 ", accumulate, 1, 1;\n\t}" \
                   : CUBINET_WGMMA_DATA_##N                                                        \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                           \
                     "r"(static_cast<int>(accumulate)));                                           \
    }                                                                                              \
  };
CUBINET_WGMMA_FOR_EACH_N(CUBINET_WGMMA_E4M3)
#undef CUBINET_WGMMA_E4M3

}  // namespace detail

// A and B in shared memory, by descriptors. Without `accumulate` D is what is written, not added
// to, whatever it held.
template <int N>
__device__ __forceinline__ void wgmma_e4m3_ss(float (&d)[N / 2], unsigned long long a,
                                              unsigned long long b, bool accumulate) {
  detail::WgmmaE4m3<N, void>::ss(d, a, b, accumulate);
}

// A in registers.
template <int N>
__device__ __forceinline__ void wgmma_e4m3_rs(float (&d)[N / 2], const unsigned int (&a)[4],
                                              unsigned long long b, bool accumulate) {
  detail::WgmmaE4m3<N, void>::rs(d, a, b, accumulate);
}

}  // namespace cubinet
