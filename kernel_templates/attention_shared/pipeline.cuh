// Shared memory of attention kernels: queries, rings of keys and values, and their barriers.
#pragma once

#include "attention_shared/tile.h"
#include "common/mbarrier.cuh"
#include "common/ring.cuh"
#include "common/warp.cuh"

namespace cubinet {
namespace attention {

// Memory is the dynamic shared memory of a block whose constants are those of `Shape`.
//
// Barriers: a "full" one completes when the loads into its buffer have landed, an "empty" one when
//           all math warps are done with it. Queries and Work are one buffer.
template <class Shape>
struct Memory {
  static constexpr Tile kTile = Shape::kTile;

  unsigned char* base;  // aligned to kAlignment

  __device__ __forceinline__ explicit Memory(unsigned char* dynamic) {
    unsigned int address = shared_address(dynamic);
    address += (kAlignment - address % kAlignment) % kAlignment;
    // Else the address is found out again at every tile.
    asm volatile("" : "+r"(address));
    base = static_cast<unsigned char*>(__cvta_shared_to_generic(address));
  }

  __device__ __forceinline__ unsigned char* queries() const { return base; }
  __device__ __forceinline__ unsigned char* keys(int stage) const {
    return base + query_bytes(kTile) + stage * key_bytes(kTile);
  }
  __device__ __forceinline__ unsigned char* values(int stage) const {
    return keys(kTile.stages) + stage * value_bytes(kTile);
  }
  __device__ __forceinline__ Work* work() const {
    return reinterpret_cast<Work*>(values(kTile.stages));
  }
  // Work as the math warps take it: the same in all lanes, and known to be. One lane reads it, the
  // first, which gives it back as well.
  __device__ __forceinline__ Work read_work() const {
    Work shared{};
    if (threadIdx.x % 32 == 0) shared = *work();
    Work work{};
    work.tiles = warp_uniform(shared.tiles);
    work.whole_tiles = warp_uniform(shared.whole_tiles);
    work.row = warp_uniform(shared.row);
    work.rows = warp_uniform(shared.rows);
    work.head = warp_uniform(shared.head);
    work.keys = warp_uniform(shared.keys);
    work.diagonal = warp_uniform(shared.diagonal);
    return work;
  }
  __device__ __forceinline__ Mbarrier* query_full() const {
    return reinterpret_cast<Mbarrier*>(work() + 1);
  }
  __device__ __forceinline__ Mbarrier* query_empty() const { return query_full() + 1; }
  __device__ __forceinline__ Mbarrier* key_full(int stage) const {
    return query_full() + 2 + stage;
  }
  __device__ __forceinline__ Mbarrier* key_empty(int stage) const {
    return key_full(kTile.stages + stage);
  }
  __device__ __forceinline__ Mbarrier* value_full(int stage) const {
    return key_full(2 * kTile.stages + stage);
  }
  __device__ __forceinline__ Mbarrier* value_empty(int stage) const {
    return key_full(3 * kTile.stages + stage);
  }

  // By one thread, before a barrier of the block.
  __device__ __forceinline__ void init_barriers() const {
    constexpr unsigned int kMathWarps = kTile.block_m / 16;
    mbarrier_init(query_full(), 1);
    mbarrier_init(query_empty(), kMathWarps);
    for (int stage = 0; stage < kTile.stages; ++stage) {
      mbarrier_init(key_full(stage), 1);
      mbarrier_init(key_empty(stage), kMathWarps);
      mbarrier_init(value_full(stage), 1);
      mbarrier_init(value_empty(stage), kMathWarps);
    }
    fence_mbarrier_init();
  }
};

}  // namespace attention
}  // namespace cubinet
