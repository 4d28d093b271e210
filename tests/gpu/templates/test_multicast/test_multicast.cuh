// test_multicast: a box for several blocks. Launch: grid = cluster, block (128), box + 2 KiB.
#pragma once

#include "common/cluster.cuh"
#include "common/sync.cuh"
#include "common/tma.cuh"
#include "test_multicast/params.h"

namespace cubinet {
namespace test_multicast {

template <int RANK>
__device__ __forceinline__ void load(void* smem, const TensorMap& map, Mbarrier* barrier,
                                     unsigned short blocks, const int (&at)[5]) {
  constexpr CachePolicy kPolicy = CachePolicy::kEvictFirst;
  if constexpr (RANK == 2) tma_load_2d_multicast(smem, map, barrier, blocks, kPolicy, at[0], at[1]);
  if constexpr (RANK == 3) {
    tma_load_3d_multicast(smem, map, barrier, blocks, kPolicy, at[0], at[1], at[2]);
  }
  if constexpr (RANK == 4) {
    tma_load_4d_multicast(smem, map, barrier, blocks, kPolicy, at[0], at[1], at[2], at[3]);
  }
  if constexpr (RANK == 5) {
    tma_load_5d_multicast(smem, map, barrier, blocks, kPolicy, at[0], at[1], at[2], at[3], at[4]);
  }
}

template <class Config>
__device__ void run(const Params& params) {
  extern __shared__ unsigned char memory[];
  __shared__ Mbarrier barrier;
  auto* const box = static_cast<unsigned char*>(align_shared<1024>(memory));
  const unsigned int rank = cluster_rank();
  const bool receives = (params.blocks >> rank & 1u) != 0;
  for (unsigned int i = threadIdx.x; i < params.box_bytes; i += blockDim.x) box[i] = 0x5A;
  fence_proxy_async_shared();
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    fence_mbarrier_init();
    if (receives) mbarrier_arrive_expect_tx(&barrier, params.box_bytes);
  }
  cluster_sync();
  if (threadIdx.x == 0 && rank == params.source) {
    load<Config::RANK>(box, params.from, &barrier, static_cast<unsigned short>(params.blocks),
                       params.from_at);
  }
  if (receives) mbarrier_wait_parity(&barrier, 0);
  cluster_sync();
  for (unsigned int i = threadIdx.x; i < params.box_bytes; i += blockDim.x) {
    params.images[rank * params.box_bytes + i] = box[i];
  }
}

}  // namespace test_multicast
}  // namespace cubinet
