// The shared-memory plan of the MQA logits kernels, for host and device.
#pragma once

#include "common/host_device.h"
#include "mqa_shared/split.h"

namespace cubinet {
namespace mqa {

constexpr int kTileTokens = 64;  // keys that one warpgroup scores at a time: M of wgmma
constexpr int kTilesPerSplit = kSplitTokens / kTileTokens;
constexpr int kAlignment = 1024;  // of swizzled tiles
constexpr int kMaxTokens = 8;     // query tokens of one work item

// Work is what a block scores next: `count` tiles of keys from the tile numbered `tile` on, against
// the queries that lie beside it. It travels through shared memory from the warp that loads.
struct Work {
  int tile;
  int count;  // below 0: there is no more
  int row;    // of the first query token in logits
  int reserved;
  int begins[kMaxTokens];  // of each query token: scored are keys in [begin, end)
  int ends[kMaxTokens];
};

// Tile is the part of a kernel's constants that its launch geometry depends on.
struct Tile {
  int tokens;        // query tokens of one work item, rounded up to whole products
  int num_heads;     // kNumHeads
  int head_dim;      // kHeadDim
  int key_stages;    // tiles of keys in flight: kNumStages of each math warpgroup
  int query_stages;  // kNumQueryStages: work items in flight
};

JIT_HOST_DEVICE constexpr int round_up(int value, int to) { return (value + to - 1) / to * to; }

// Units: bytes.
JIT_HOST_DEVICE constexpr int key_bytes(const Tile& tile) { return kTileTokens * tile.head_dim; }
JIT_HOST_DEVICE constexpr int scale_bytes() { return kTileTokens * 4; }
JIT_HOST_DEVICE constexpr int query_bytes(const Tile& tile) {
  return round_up(tile.tokens * tile.num_heads * tile.head_dim, kAlignment);
}
JIT_HOST_DEVICE constexpr int weight_bytes(const Tile& tile) {
  return round_up(tile.tokens * tile.num_heads * 4, 128);
}

// Dynamic shared memory of a block, in this order: queries, keys, scales, weights, work, barriers;
// the first of them aligned to kAlignment.
JIT_HOST_DEVICE constexpr int smem_bytes_of(const Tile& tile) {
  return kAlignment +
         tile.query_stages *
             (query_bytes(tile) + weight_bytes(tile) + static_cast<int>(sizeof(Work))) +
         tile.key_stages * (key_bytes(tile) + scale_bytes()) +
         16 * (tile.query_stages + tile.key_stages);
}

}  // namespace mqa
}  // namespace cubinet
