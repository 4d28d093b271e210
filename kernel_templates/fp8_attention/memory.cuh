// Shared memory of fp8_attention: queries, rings of keys, of values as they come and of transposed
// ones, and their barriers.
#pragma once

#include "common/mbarrier.cuh"
#include "common/warp.cuh"
#include "fp8_attention/tile.h"

namespace cubinet {
namespace fp8_attention {

// The value of lane 0, of which the others have 0, or the one that all have.
__device__ __forceinline__ int same_in_all_lanes(int value) {
  return static_cast<int>(__reduce_or_sync(0xFFFFFFFFu, static_cast<unsigned int>(value)));
}

// Memory is the dynamic shared memory of a block whose constants are those of `Shape`.
//
// Barriers: a "full" one completes when what its buffer is for is there, an "empty" one when all
//           warps that read it are done. Queries and Work come together; each buffer of values as
//           they come has a note, how many of its keys are the sequence's own: below 0 there are no
//           more tiles.
template <class Shape>
struct Memory {
  static constexpr Tile kTile = Shape::kTile;

  unsigned char* base;  // aligned to kAlignment

  __device__ __forceinline__ explicit Memory(unsigned char* dynamic) {
    unsigned int address = shared_address(dynamic);
    address += (attention::kAlignment - address % attention::kAlignment) % attention::kAlignment;
    // Else the address is found out again at every tile.
    asm volatile("" : "+r"(address));
    base = static_cast<unsigned char*>(__cvta_shared_to_generic(address));
  }

  __device__ __forceinline__ unsigned char* queries() const { return base; }
  __device__ __forceinline__ unsigned char* keys(int stage) const {
    return base + aligned(query_bytes(kTile)) + stage * aligned(key_bytes(kTile));
  }
  // Transposed: element d of key j is byte j of row d, with columns in the order of transpose.cuh.
  __device__ __forceinline__ unsigned char* values(int stage) const {
    return keys(kTile.stages) + stage * aligned(value_bytes(kTile));
  }
  __device__ __forceinline__ unsigned char* raw_values(int stage) const {
    return values(kTile.stages + stage);
  }
  // Of items of either parity: one lies there until the item after the next.
  __device__ __forceinline__ attention::Work* work(unsigned int parity) const {
    return reinterpret_cast<attention::Work*>(raw_values(kTile.value_stages)) + parity;
  }
  __device__ __forceinline__ int* note(int value_stage) const {
    return reinterpret_cast<int*>(work(2)) + 2 * value_stage;
  }

  __device__ __forceinline__ Mbarrier* query_full() const {
    return reinterpret_cast<Mbarrier*>(note(kTile.value_stages));
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
  __device__ __forceinline__ Mbarrier* raw_full(int stage) const {
    return key_full(4 * kTile.stages + stage);
  }
  __device__ __forceinline__ Mbarrier* raw_empty(int stage) const {
    return raw_full(kTile.value_stages + stage);
  }

  // Work as the math warps take it: the same in all lanes, and known to be, since a reduction's
  // result is. One lane reads it, the first, which gives it back as well.
  __device__ __forceinline__ attention::Work read_work(unsigned int parity) const {
    attention::Work shared{};
    if (threadIdx.x % 32 == 0) shared = *work(parity);
    attention::Work same{};
    same.tiles = same_in_all_lanes(shared.tiles);
    same.whole_tiles = same_in_all_lanes(shared.whole_tiles);
    same.row = same_in_all_lanes(shared.row);
    same.rows = same_in_all_lanes(shared.rows);
    same.head = same_in_all_lanes(shared.head);
    same.keys = same_in_all_lanes(shared.keys);
    same.diagonal = same_in_all_lanes(shared.diagonal);
    same.first_tile = same_in_all_lanes(shared.first_tile);
    same.first_whole = same_in_all_lanes(shared.first_whole);
    same.sequence = same_in_all_lanes(shared.sequence);
    same.split = same_in_all_lanes(shared.split);
    same.kv_head = same_in_all_lanes(shared.kv_head);
    return same;
  }

  // By one thread, before a barrier of the block.
  __device__ __forceinline__ void init_barriers() const {
    constexpr unsigned int kMathWarps = kTile.block_m / 16;
    mbarrier_init(query_full(), 1);
    mbarrier_init(query_empty(), kMathWarps);
    for (int stage = 0; stage < kTile.stages; ++stage) {
      mbarrier_init(key_full(stage), 1);
      mbarrier_init(key_empty(stage), kMathWarps);
      mbarrier_init(value_full(stage), Shape::kTransposingWarps);
      mbarrier_init(value_empty(stage), kMathWarps);
    }
    for (int stage = 0; stage < kTile.value_stages; ++stage) {
      mbarrier_init(raw_full(stage), 1);
      mbarrier_init(raw_empty(stage), Shape::kTransposingWarps);
    }
    fence_mbarrier_init();
  }
};

}  // namespace fp8_attention
}  // namespace cubinet
