// test_cluster: blocks of a cluster read each other's shared memory and arrive at each other's
// barriers. Launch: clusters of up to 8 blocks along x, block (64), no dynamic shared memory.
#pragma once

#include "common/cluster.cuh"
#include "common/tma.cuh"
#include "test_cluster/params.h"

namespace cubinet {
namespace test_cluster {

constexpr unsigned int kMostBlocks = 8;

__device__ __forceinline__ unsigned int load_from_block(const unsigned int* word,
                                                        unsigned int rank) {
  unsigned int value;
  asm volatile("ld.shared::cluster.u32 %0, [%1];"
               : "=r"(value)
               : "r"(shared_address_in_block(word, rank))
               : "memory");
  return value;
}

// Rank 0 waits for words that all blocks wrote to global memory before they arrived.
__device__ __forceinline__ unsigned int sum_of_written(const Params& params, Mbarrier* arrived,
                                                       unsigned int size) {
  mbarrier_wait_parity_cluster(arrived, 0);
  unsigned int sum = 0;
  for (unsigned int i = 0; i < size; ++i) {
    sum += static_cast<volatile unsigned int*>(params.written)[blockIdx.x + i];
  }
  return sum;
}

// Rank 0 loads the words that every block has announced at its barrier.
__device__ __forceinline__ void sum_of_landed(const Params& params, Mbarrier* landed,
                                              unsigned int* words, Found& found) {
  for (unsigned int i = 0; i < found.size; ++i) {
    bulk_load(words + 4 * i, params.words + 4 * (blockIdx.x + i), 16, landed,
              CachePolicy::kEvictNormal);
  }
  mbarrier_wait_parity_cluster(landed, 0);
  for (unsigned int i = 0; i < 4 * found.size; ++i) found.landed[i % 4] += words[i];
}

template <class Config>
__device__ void run(const Params& params) {
  __shared__ alignas(16) unsigned int words[4 * kMostBlocks];
  __shared__ Mbarrier arrived;
  __shared__ Mbarrier landed;
  __shared__ unsigned int kept;
  Found found = {cluster_rank(), cluster_size(), 0, 0, {0, 0, 0, 0}};
  if (threadIdx.x == 0) {
    kept = 1000 * (blockIdx.x + 1);
    mbarrier_init(&arrived, found.size);
    mbarrier_init(&landed, found.size);
    fence_mbarrier_init();
  }
  cluster_sync();
  if (threadIdx.x == 0) {
    found.neighbour = load_from_block(&kept, (found.rank + 1) % found.size);
    params.written[blockIdx.x] = blockIdx.x + 1;
    mbarrier_arrive_cluster(&arrived, 0);
    mbarrier_arrive_expect_tx_cluster(&landed, 0, 16);
    if (found.rank == 0) {
      found.sum = sum_of_written(params, &arrived, found.size);
      sum_of_landed(params, &landed, words, found);
    }
    params.found[blockIdx.x] = found;
  }
  __syncwarp();
  cluster_sync();
}

}  // namespace test_cluster
}  // namespace cubinet
