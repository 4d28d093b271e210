// test_bulk: threads copy `from` to scratch, a bulk load takes it to shared memory, threads invert
// it there, a bulk store takes it to `to`. Launch: grid (1), block (128), bytes + 16.
#pragma once

#include "common/sync.cuh"
#include "common/tma.cuh"
#include "test_bulk/params.h"

namespace cubinet {
namespace test_bulk {

template <class Config>
__device__ void run(const Params& params) {
  extern __shared__ unsigned char memory[];
  __shared__ Mbarrier barrier;
  auto* const bytes = static_cast<unsigned char*>(align_shared<16>(memory));
  const CachePolicy policy = static_cast<CachePolicy>(params.policy);
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
  }
  // What threads write to global memory is read by a bulk copy: the fence is for all memory.
  for (unsigned int i = threadIdx.x; i < params.bytes; i += blockDim.x) {
    params.scratch[i] = params.from[i];
  }
  fence_proxy_async();
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(&barrier, params.bytes);
    bulk_load(bytes, params.scratch, params.bytes, &barrier, policy);
  }
  mbarrier_wait_parity(&barrier, 0);
  for (unsigned int i = threadIdx.x; i < params.bytes; i += blockDim.x) {
    bytes[i] = static_cast<unsigned char>(~bytes[i]);
  }
  fence_proxy_async_shared();
  __syncthreads();
  if (threadIdx.x == 0) {
    bulk_store(params.to, bytes, params.bytes, policy);
    bulk_commit_group();
    bulk_wait_group<0>();
  }
}

}  // namespace test_bulk
}  // namespace cubinet
