// Blocks of a cluster: who they are, where they meet, where their shared memory lies.
//
// Arch: sm_90 and later. A launch without clusters has clusters of one block.
// Source: PTX ISA 9.0, 10 "Special Registers", 9.7.13.3 "barrier.cluster", 9.7.9.23 "mapa".
#pragma once

#include "common/shared.cuh"

namespace cubinet {

// The block's number within its cluster.
__device__ __forceinline__ unsigned int cluster_rank() {
  unsigned int rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// How many blocks a cluster has.
__device__ __forceinline__ unsigned int cluster_size() {
  unsigned int size;
  asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
  return size;
}

// A barrier of all threads of the cluster, in two halves: what was written before the first is
// visible to all after the second.
//
// Requires: all threads of a warp call it together; every thread of the cluster arrives and waits
//           in turn. A block must not end while others may still reach into its shared memory.
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_sync() {
  cluster_arrive();
  cluster_wait();
}

// The address, in the cluster's window, of what lies where `pointer` points to, in the shared
// memory of block `rank`.
__device__ __forceinline__ unsigned int shared_address_in_block(const void* pointer,
                                                                unsigned int rank) {
  unsigned int address;
  asm("mapa.shared::cluster.u32 %0, %1, %2;"
      : "=r"(address)
      : "r"(shared_address(pointer)), "r"(rank));
  return address;
}

}  // namespace cubinet
