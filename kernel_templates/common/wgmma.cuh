// Order of warpgroup matrix products (wgmma). The products are in wgmma_e4m3.cuh and
// wgmma_bf16.cuh.
//
// A product is asynchronous: it reads shared memory and registers and writes its accumulators until
// it has been waited for. Pattern:
//   wgmma_fence(); product; product; ... wgmma_commit_group(); ... wgmma_wait_group<0>();
//
// Requires: all of these are called by the four warps of a warpgroup together (128 threads from a
//           multiple of 128), converged. Between a product and its wait its accumulators, and its A
//           in registers, are not touched: else the assembler makes every product wait (C7510 to
//           C7519), which a manifest forbids by "serialized_wgmma". Loops over products are
//           unrolled, so that accumulators are registers.
// Arch: sm_90a.
// Source: PTX ISA 9.0, 9.7.15 "Asynchronous Warpgroup Level Matrix Multiply-Accumulate".
#pragma once

namespace cubinet {

// Before the first product, and after registers that one uses were written by anything else than a
// product of the same shape. Shared memory written by threads needs fence_proxy_async_shared() too.
__device__ __forceinline__ void wgmma_fence() {
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ __forceinline__ void wgmma_commit_group() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Returns when at most PENDING of the latest groups are not done.
template <int PENDING>
__device__ __forceinline__ void wgmma_wait_group() {
  static_assert(PENDING >= 0 && PENDING <= 7, "groups that may be pending must be 0 to 7");
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// Keeps the compiler from moving other uses of these registers across this place; no instruction.
// After the wait of a product it holds back what reads the accumulators.
template <int COUNT>
__device__ __forceinline__ void wgmma_keep_order(float (&registers)[COUNT]) {
#pragma unroll
  for (int i = 0; i < COUNT; ++i) asm volatile("" : "+f"(registers[i])::"memory");
}

}  // namespace cubinet
