// test_wgmma_e4m3: D = A * B (+ C) over 256 steps of K by every form of the e4m3 product, for any
// width of tiles. Launch: grid (cases), block (128), kSmemBytes.
#pragma once

#include "common/sync.cuh"
#include "common/wgmma_e4m3.cuh"
#include "test_shared/tiles.cuh"

namespace cubinet {
namespace test_wgmma {

constexpr unsigned int kStepBytes = 32;
constexpr unsigned int kSteps = kDepthBytes / kStepBytes;

template <int N>
__device__ __forceinline__ void from_shared(const Params& params, float (&d)[N / 2],
                                            const unsigned char* a, const unsigned char* b) {
  const unsigned int row_bytes = params.described_row_bytes;
  const unsigned long long a_begin = k_major_descriptor(row_bytes, a, kRows);
  const unsigned long long b_begin = k_major_descriptor(row_bytes, b, N);
#pragma unroll 1
  for (unsigned int step = 0; step < kSteps; ++step) {
    const unsigned int byte = step * kStepBytes;
    wgmma_fence();
    wgmma_e4m3_ss<N>(d, advance_k(a_begin, k_advance(row_bytes, kRows, byte)),
                     advance_k(b_begin, k_advance(row_bytes, N, byte)),
                     step != 0 || params.accumulate != 0);
  }
  wgmma_commit_group();
  wgmma_wait_group<0>();
  wgmma_keep_order(d);
}

template <int N>
__device__ __forceinline__ void from_registers(const Params& params, float (&d)[N / 2],
                                               const unsigned char* b) {
  const unsigned int row_bytes = params.described_row_bytes;
  const unsigned long long b_begin = k_major_descriptor(row_bytes, b, N);
  const unsigned int lane = threadIdx.x % 32;
  const unsigned int row = blockIdx.x * kRows + 16 * (threadIdx.x / 32) + lane / 4;
#pragma unroll 1
  for (unsigned int step = 0; step < kSteps; ++step) {
    const unsigned int byte = step * kStepBytes;
    unsigned int a[4];
#pragma unroll
    for (unsigned int i = 0; i < 4; ++i) {
      const unsigned int at = byte + 16 * (i / 2) + 4 * (lane % 4);
      a[i] =
          *reinterpret_cast<const unsigned int*>(params.a + (row + 8 * (i % 2)) * kDepthBytes + at);
    }
    wgmma_fence();
    wgmma_e4m3_rs<N>(d, a, advance_k(b_begin, k_advance(row_bytes, N, byte)),
                     step != 0 || params.accumulate != 0);
    wgmma_commit_group();
    wgmma_wait_group<0>();
  }
}

template <class Config>
__device__ void run_e4m3(const Params& params) {
  constexpr int N = Config::N;
  extern __shared__ unsigned char memory[];
  auto* const a = static_cast<unsigned char*>(align_shared<1024>(memory));
  unsigned char* const b = a + kRows * kDepthBytes;
  fill_k_major(a, params.a + blockIdx.x * kRows * kDepthBytes, kRows, params.row_bytes);
  fill_k_major(b, params.b + blockIdx.x * N * kDepthBytes, N, params.row_bytes);
  fence_proxy_async_shared();
  __syncthreads();
  float d[N / 2];
  begin<N>(params, d);
  if (params.a_in_registers != 0) {
    from_registers<N>(params, d, b);
  } else {
    from_shared<N>(params, d, a, b);
  }
  finish<N>(params, d);
}

}  // namespace test_wgmma
}  // namespace cubinet
