// The shared-memory plan of attention kernels, for host and device.
#pragma once

#include "common/host_device.h"

namespace cubinet {
namespace attention {

constexpr int kAlignment = 1024;   // of swizzled tiles
constexpr int kSlabElements = 64;  // 16-bit elements of a swizzled row of 128 bytes

// Work is what a block does next: some query rows of one head against the keys of a sequence. It
// travels through shared memory from the warp that loads.
struct Work {
  int tiles;        // the end of the key tiles that any of the rows sees; below 0: there is no more
  int whole_tiles;  // of them, those below it all rows see up to their ends
  int row;          // the first query token
  int rows;         // query tokens, the sequence's own
  int head;         // the first query head, if there are several
  int keys;         // of the sequence
  int diagonal;     // the first token sees the first `diagonal` keys with causal, as far as there
                    // are; each next one sees one more
  int first_tile;   // the first key tile
  int first_whole;  // the first tile that all rows see from its begin; below it windows end
  int sequence;
  int split;  // which part of the sequence's keys
  int kv_head;
};

// Tile is the part of a kernel's constants that its launch geometry depends on.
struct Tile {
  int block_m;     // query rows of a block: 64 of each math warpgroup
  int block_n;     // keys of a tile
  int head_dim;    // of queries and keys
  int head_dim_v;  // of values
  int stages;      // tiles of keys, and of values, in flight
};

// One warpgroup loads, the others do the maths.
JIT_HOST_DEVICE constexpr int threads_of(const Tile& tile) { return 128 + tile.block_m * 2; }

// Units: bytes, of 16-bit elements.
JIT_HOST_DEVICE constexpr int query_bytes(const Tile& tile) {
  return tile.block_m * tile.head_dim * 2;
}
JIT_HOST_DEVICE constexpr int key_bytes(const Tile& tile) {
  return tile.block_n * tile.head_dim * 2;
}
JIT_HOST_DEVICE constexpr int value_bytes(const Tile& tile) {
  return tile.block_n * tile.head_dim_v * 2;
}

// Dynamic shared memory of a block, in this order: queries, keys, values, work, barriers; the first
// of them aligned to kAlignment.
JIT_HOST_DEVICE constexpr int smem_bytes_of(const Tile& tile) {
  return kAlignment + query_bytes(tile) + tile.stages * (key_bytes(tile) + value_bytes(tile)) +
         static_cast<int>(sizeof(Work)) + 8 * (2 + 4 * tile.stages);
}

}  // namespace attention
}  // namespace cubinet
