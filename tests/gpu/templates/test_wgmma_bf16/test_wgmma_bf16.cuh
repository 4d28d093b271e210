// test_wgmma_bf16: D = A * B (+ C) over 128 steps of K by every form of the bf16 product, for any
// width of tiles. Launch: grid (cases), block (128), kSmemBytes.
#pragma once

#include "common/sync.cuh"
#include "common/wgmma_bf16.cuh"
#include "test_shared/tiles.cuh"

namespace cubinet {
namespace test_wgmma {

constexpr unsigned int kDepth = kDepthBytes / 2;
constexpr unsigned int kStepDepth = 16;

// The descriptor of an operand of `rows` rows (of A, or columns of B) from step `k` along K on.
template <bool TRANSPOSED>
__device__ __forceinline__ unsigned long long operand(unsigned int row_bytes, const void* tiles,
                                                      unsigned int rows, unsigned int k) {
  if constexpr (TRANSPOSED) {
    return advance_k(major_descriptor(row_bytes, tiles, kDepth), k * row_bytes);
  } else {
    return advance_k(k_major_descriptor(row_bytes, tiles, rows), k_advance(row_bytes, rows, 2 * k));
  }
}

template <int N, bool TRANSPOSE_A, bool TRANSPOSE_B>
__device__ __forceinline__ void from_shared(const Params& params, float (&d)[N / 2],
                                            const unsigned char* a, const unsigned char* b) {
#pragma unroll 1
  for (unsigned int k = 0; k < kDepth; k += kStepDepth) {
    wgmma_fence();
    wgmma_bf16_ss<N, TRANSPOSE_A, TRANSPOSE_B>(
        d, operand<TRANSPOSE_A>(params.described_row_bytes, a, kRows, k),
        operand<TRANSPOSE_B>(params.described_row_bytes, b, N, k),
        k != 0 || params.accumulate != 0);
  }
  wgmma_commit_group();
  wgmma_wait_group<0>();
  wgmma_keep_order(d);
}

template <int N, bool TRANSPOSE_B>
__device__ __forceinline__ void from_registers(const Params& params, float (&d)[N / 2],
                                               const unsigned char* b) {
  const unsigned int lane = threadIdx.x % 32;
  const unsigned int row = blockIdx.x * kRows + 16 * (threadIdx.x / 32) + lane / 4;
#pragma unroll 1
  for (unsigned int k = 0; k < kDepth; k += kStepDepth) {
    unsigned int a[4];
#pragma unroll
    for (unsigned int i = 0; i < 4; ++i) {
      const unsigned int at = 2 * (k + 8 * (i / 2) + 2 * (lane % 4));
      a[i] =
          *reinterpret_cast<const unsigned int*>(params.a + (row + 8 * (i % 2)) * kDepthBytes + at);
    }
    wgmma_fence();
    wgmma_bf16_rs<N, TRANSPOSE_B>(d, a, operand<TRANSPOSE_B>(params.described_row_bytes, b, N, k),
                                  k != 0 || params.accumulate != 0);
    wgmma_commit_group();
    wgmma_wait_group<0>();
  }
}

// Rows of one operand as tiles of either direction.
__device__ __forceinline__ void fill(unsigned char* tiles, const unsigned char* from,
                                     unsigned int rows, const Params& params, bool transposed) {
  if (transposed) {
    fill_major(tiles, reinterpret_cast<const bf16*>(from), rows, params.row_bytes);
  } else {
    fill_k_major(tiles, from, rows, params.row_bytes);
  }
}

template <int N>
__device__ __forceinline__ void multiply(const Params& params, float (&d)[N / 2],
                                         const unsigned char* a, const unsigned char* b) {
  const bool transpose_a = params.transpose_a != 0;
  const bool transpose_b = params.transpose_b != 0;
  if (params.a_in_registers != 0) {
    if (transpose_b) from_registers<N, true>(params, d, b);
    if (!transpose_b) from_registers<N, false>(params, d, b);
    return;
  }
  if (!transpose_a && !transpose_b) from_shared<N, false, false>(params, d, a, b);
  if (!transpose_a && transpose_b) from_shared<N, false, true>(params, d, a, b);
  if (transpose_a && !transpose_b) from_shared<N, true, false>(params, d, a, b);
  if (transpose_a && transpose_b) from_shared<N, true, true>(params, d, a, b);
}

template <class Config>
__device__ void run_bf16(const Params& params) {
  constexpr int N = Config::N;
  extern __shared__ unsigned char memory[];
  auto* const a = static_cast<unsigned char*>(align_shared<1024>(memory));
  unsigned char* const b = a + kRows * kDepthBytes;
  fill(a, params.a + blockIdx.x * kRows * kDepthBytes, kRows, params, params.transpose_a != 0);
  fill(b, params.b + blockIdx.x * N * kDepthBytes, N, params, params.transpose_b != 0);
  fence_proxy_async_shared();
  __syncthreads();
  float d[N / 2];
  begin<N>(params, d);
  multiply<N>(params, d, a, b);
  finish<N>(params, d);
}

}  // namespace test_wgmma
}  // namespace cubinet
