// The shared-memory plan of the MQA logits kernels, for host and device.
#pragma once

#include "mqa_shared/split.h"

namespace cubinet {
namespace mqa {

constexpr int kTileTokens = 64;  // keys that one warpgroup scores at a time: M of wgmma
constexpr int kTilesPerSplit = kSplitTokens / kTileTokens;
constexpr int kAlignment = 1024;  // of swizzled tiles

// Tile is the part of a kernel's constants that its launch geometry depends on.
struct Tile {
  int next_n;        // query tokens whose scores one block computes together
  int num_heads;     // kNumHeads
  int head_dim;      // kHeadDim
  int key_stages;    // kNumStages: tiles of keys in flight
  int query_stages;  // sets of queries in flight
  int math_warpgroups;
};

constexpr int round_up(int value, int to) { return (value + to - 1) / to * to; }

// Units: bytes.
constexpr int key_bytes(const Tile& tile) { return kTileTokens * tile.head_dim; }
constexpr int query_bytes(const Tile& tile) {
  return round_up(tile.next_n * tile.num_heads * tile.head_dim, kAlignment);
}
constexpr int scale_bytes() { return kTileTokens * 4; }
constexpr int weight_bytes(const Tile& tile) {
  return round_up(tile.next_n * tile.num_heads * 4, 128);
}

// Dynamic shared memory of a block, in this order: queries, keys, weights, scales, barriers.
constexpr int smem_bytes_of(const Tile& tile) {
  return kAlignment + tile.query_stages * (query_bytes(tile) + weight_bytes(tile)) +
         tile.key_stages * (key_bytes(tile) + scale_bytes()) +
         16 * (tile.query_stages + tile.key_stages);
}

}  // namespace mqa
}  // namespace cubinet
