// Rings of shared memory between the warp that loads and the warpgroups that score.
#pragma once

#include "common/mbarrier.cuh"
#include "common/ring.cuh"
#include "mqa_shared/tile.h"

namespace cubinet {
namespace mqa {

// Memory is the dynamic shared memory of a block.
//
// Order: tiles may land in another order than they were asked for in. A stage of keys therefore
//        belongs to one math warpgroup (their number divides that of the stages): it has waited for
//        the tile before when it waits for the next one, so that a parity tells the two apart.
// Barriers: a "full" one completes when the loads into its stage have landed; an "empty" one when
//           all readers of the stage are done: of queries all math warps, of a tile of keys the
//           warps of the one warpgroup that scores it.
template <class Shape>
struct Memory {
  static constexpr Tile kTile = Shape::kTile;
  static constexpr int kQueryBytes = query_bytes(kTile);
  static constexpr int kKeyBytes = key_bytes(kTile);
  static constexpr int kWeightFloats = weight_bytes(kTile) / 4;

  unsigned char* base;  // aligned to kAlignment

  __device__ __forceinline__ explicit Memory(unsigned char* dynamic) {
    unsigned int address = shared_address(dynamic);
    address += (kAlignment - address % kAlignment) % kAlignment;
    // Else the address is found out again at every tile.
    asm volatile("" : "+r"(address));
    base = static_cast<unsigned char*>(__cvta_shared_to_generic(address));
  }

  __device__ __forceinline__ unsigned char* queries(int stage) const {
    return base + stage * kQueryBytes;
  }
  __device__ __forceinline__ unsigned char* keys(int stage) const {
    return base + kTile.query_stages * kQueryBytes + stage * kKeyBytes;
  }
  __device__ __forceinline__ float* scales(int stage) const {
    return reinterpret_cast<float*>(keys(kTile.key_stages)) + stage * kTileTokens;
  }
  __device__ __forceinline__ float* weights(int stage) const {
    return scales(kTile.key_stages) + stage * kWeightFloats;
  }
  __device__ __forceinline__ Work* work(int stage) const {
    return reinterpret_cast<Work*>(weights(kTile.query_stages)) + stage;
  }
  __device__ __forceinline__ Mbarrier* query_full(int stage) const {
    return reinterpret_cast<Mbarrier*>(work(kTile.query_stages)) + stage;
  }
  __device__ __forceinline__ Mbarrier* query_empty(int stage) const {
    return query_full(kTile.query_stages + stage);
  }
  __device__ __forceinline__ Mbarrier* key_full(int stage) const {
    return query_full(2 * kTile.query_stages + stage);
  }
  __device__ __forceinline__ Mbarrier* key_empty(int stage) const {
    return query_full(2 * kTile.query_stages + kTile.key_stages + stage);
  }

  // By one thread, before a barrier of the block.
  __device__ __forceinline__ void init_barriers() const {
    for (int stage = 0; stage < kTile.query_stages; ++stage) {
      mbarrier_init(query_full(stage), 1);
      mbarrier_init(query_empty(stage), 4 * Shape::kMathWarpgroups);
    }
    for (int stage = 0; stage < kTile.key_stages; ++stage) {
      mbarrier_init(key_full(stage), 1);
      mbarrier_init(key_empty(stage), 4);
    }
    fence_mbarrier_init();
  }
};

}  // namespace mqa
}  // namespace cubinet
