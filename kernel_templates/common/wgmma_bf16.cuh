// D[64 x N] = A[64 x 16] * B[16 x N] + D by a warpgroup: bf16 operands, fp32 accumulators.
//
// A and B in shared memory are K-major (SwizzledTile of common/swizzle.cuh) or, with TRANSPOSE_A or
// TRANSPOSE_B, M- or N-major (MajorTile). In registers, with lane = thread % 32, warp =
// thread % 128 / 32 and i the register:
//   D: d[i] is row 16 * warp + lane / 4 + 8 * (i / 2 % 2),
//      column 8 * (i / 4) + 2 * (lane % 4) + i % 2
//   A: half j of a[i] is row 16 * warp + lane / 4 + 8 * (i % 2),
//      k = 8 * (i / 2) + 2 * (lane % 4) + j
//
// Requires: as common/wgmma.cuh says. Arch: sm_90a.
// Numerics: products are exact; sums have about the precision of fp32, but are truncated.
// Source: PTX ISA 9.0, 9.7.15.5.2 "wgmma.mma_async", 9.7.15.5.1.1 "Register Fragments", .m64nNk16
#pragma once

#include "common/wgmma.cuh"
#include "common/wgmma_operands.cuh"

namespace cubinet {

namespace detail {

// Partial specialisations: only that of an N in use is looked into, which keeps compiling fast.
template <int N, class Unused>
struct WgmmaBf16 {
  static_assert(N < 0, "N must be a multiple of 8 from 8 to 256");
};

#define CUBINET_WGMMA_BF16(N, I0, I1, I2, I3, I4, I5, I6)                                    \
  template <class Unused>                                                                    \
  struct WgmmaBf16<N, Unused> {                                                              \
    template <int TRANSPOSE_A, int TRANSPOSE_B>                                              \
    __device__ __forceinline__ static void ss(float (&d)[N / 2], unsigned long long a,       \
                                              unsigned long long b, bool accumulate) {       \
      asm volatile("{\n\t.reg .pred accumulate;\n\tsetp.ne.b32 accumulate, %" #I2            \
                   ", 0;\n\twgmma.mma_async.sync.aligned.m64n" #N                            \
                   "k16.f32.bf16.bf16 {" CUBINET_WGMMA_NAMES_##N                             \
                   "}, %" #I0 ", %" #I1 ", accumulate, 1, 1, %" #I3 ", %" #I4 ";\n\t}"       \
                   : CUBINET_WGMMA_DATA_##N                                                  \
                   : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)), "n"(TRANSPOSE_A),    \
                     "n"(TRANSPOSE_B));                                                      \
    }                                                                                        \
    template <int TRANSPOSE_B>                                                               \
    __device__ __forceinline__ static void rs(float (&d)[N / 2], const unsigned int (&a)[4], \
                                              unsigned long long b, bool accumulate) {       \
      asm volatile("{\n\t.reg .pred accumulate;\n\tsetp.ne.b32 accumulate, %" #I5            \
                   ", 0;\n\twgmma.mma_async.sync.aligned.m64n" #N                            \
                   "k16.f32.bf16.bf16 {" CUBINET_WGMMA_NAMES_##N                             \
                   "}, {%" #I0 ", %" #I1 ", %" #I2 ", %" #I3 "}, %" #I4                      \
                   ", accumulate, 1, 1, %" #I6 ";\n\t}"                                      \
                   : CUBINET_WGMMA_DATA_##N                                                  \
                   : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b),                     \
                     "r"(static_cast<int>(accumulate)), "n"(TRANSPOSE_B));                   \
    }                                                                                        \
  };
CUBINET_WGMMA_FOR_EACH_N(CUBINET_WGMMA_BF16)
#undef CUBINET_WGMMA_BF16

}  // namespace detail

// A and B in shared memory, by descriptors. Without `accumulate` D is what is written, not added
// to, whatever it held.
template <int N, bool TRANSPOSE_A = false, bool TRANSPOSE_B = false>
__device__ __forceinline__ void wgmma_bf16_ss(float (&d)[N / 2], unsigned long long a,
                                              unsigned long long b, bool accumulate) {
  detail::WgmmaBf16<N, void>::template ss<TRANSPOSE_A, TRANSPOSE_B>(d, a, b, accumulate);
}

// A in registers.
template <int N, bool TRANSPOSE_B = false>
__device__ __forceinline__ void wgmma_bf16_rs(float (&d)[N / 2], const unsigned int (&a)[4],
                                              unsigned long long b, bool accumulate) {
  detail::WgmmaBf16<N, void>::template rs<TRANSPOSE_B>(d, a, b, accumulate);
}

}  // namespace cubinet
