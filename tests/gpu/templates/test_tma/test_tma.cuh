// test_tma: one box in, its bytes inverted, one box out. Launch: grid (1), block (128), box + 2
// KiB.
#pragma once

#include "common/sync.cuh"
#include "common/tma.cuh"
#include "test_tma/params.h"

namespace cubinet {
namespace test_tma {

template <int RANK>
__device__ __forceinline__ void load(void* smem, const TensorMap& map, Mbarrier* barrier,
                                     CachePolicy policy, const int (&at)[5]) {
  if constexpr (RANK == 1) tma_load_1d(smem, map, barrier, policy, at[0]);
  if constexpr (RANK == 2) tma_load_2d(smem, map, barrier, policy, at[0], at[1]);
  if constexpr (RANK == 3) tma_load_3d(smem, map, barrier, policy, at[0], at[1], at[2]);
  if constexpr (RANK == 4) tma_load_4d(smem, map, barrier, policy, at[0], at[1], at[2], at[3]);
  if constexpr (RANK == 5) {
    tma_load_5d(smem, map, barrier, policy, at[0], at[1], at[2], at[3], at[4]);
  }
}

template <int RANK>
__device__ __forceinline__ void store(const TensorMap& map, const void* smem, CachePolicy policy,
                                      const int (&at)[5]) {
  if constexpr (RANK == 1) tma_store_1d(map, smem, policy, at[0]);
  if constexpr (RANK == 2) tma_store_2d(map, smem, policy, at[0], at[1]);
  if constexpr (RANK == 3) tma_store_3d(map, smem, policy, at[0], at[1], at[2]);
  if constexpr (RANK == 4) tma_store_4d(map, smem, policy, at[0], at[1], at[2], at[3]);
  if constexpr (RANK == 5) tma_store_5d(map, smem, policy, at[0], at[1], at[2], at[3], at[4]);
}

__device__ __forceinline__ void make_policies(unsigned long long* policies) {
  asm("createpolicy.fractional.L2::evict_normal.b64 %0, 1.0;" : "=l"(policies[0]));
  asm("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policies[1]));
  asm("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policies[2]));
}

template <class Config>
__device__ void run(const Params& params) {
  extern __shared__ unsigned char memory[];
  __shared__ Mbarrier barrier;
  auto* const box = static_cast<unsigned char*>(align_shared<1024>(memory));
  const CachePolicy policy = static_cast<CachePolicy>(params.policy);
  for (unsigned int i = threadIdx.x; i < params.box_bytes; i += blockDim.x) box[i] = 0x5A;
  fence_proxy_async_shared();
  if (threadIdx.x == 0) {
    make_policies(params.policies);
    prefetch_tensor_map(params.from);
    prefetch_tensor_map(params.to);
    mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_arrive_expect_tx(&barrier, params.box_bytes);
    load<Config::RANK>(box, params.from, &barrier, policy, params.from_at);
  }
  mbarrier_wait_parity(&barrier, 0);
  for (unsigned int i = threadIdx.x; i < params.box_bytes; i += blockDim.x) {
    params.image[i] = box[i];
    box[i] = static_cast<unsigned char>(~box[i]);
  }
  fence_proxy_async_shared();
  __syncthreads();
  if (threadIdx.x == 0) {
    store<Config::RANK>(params.to, box, policy, params.to_at);
    bulk_commit_group();
    bulk_wait_group_read<0>();
    bulk_wait_group<0>();
  }
}

}  // namespace test_tma
}  // namespace cubinet
