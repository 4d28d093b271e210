// The launch geometry and the shared-memory plan of fp8_attention, for host and device.
#pragma once

#include "attention_shared/tile.h"
#include "common/host_device.h"

namespace cubinet {
namespace fp8_attention {

// Tile is the part of a kernel's constants that its launch geometry depends on. Units: e4m3
// elements are bytes.
struct Tile {
  int block_m;       // query rows of a block: 64 of each math warpgroup
  int block_n;       // keys of a tile
  int head_dim;      // of queries and keys
  int head_dim_v;    // of values
  int stages;        // tiles of keys, and of transposed values, in flight
  int value_stages;  // tiles of values that wait for their transposition
};

// A head's elements lie in slabs: rows of so many bytes, the widest swizzled row that divides a
// head. One slab of all rows of a tile follows the other.
JIT_HOST_DEVICE constexpr int slab_bytes(int head_dim) {
  return head_dim % 128 == 0 ? 128 : head_dim % 64 == 0 ? 64 : 32;
}

// One warpgroup loads and transposes, the others do the maths.
JIT_HOST_DEVICE constexpr int threads_of(const Tile& tile) { return 128 + tile.block_m * 2; }

JIT_HOST_DEVICE constexpr int query_bytes(const Tile& tile) { return tile.block_m * tile.head_dim; }
JIT_HOST_DEVICE constexpr int key_bytes(const Tile& tile) { return tile.block_n * tile.head_dim; }
JIT_HOST_DEVICE constexpr int value_bytes(const Tile& tile) {
  return tile.block_n * tile.head_dim_v;
}

JIT_HOST_DEVICE constexpr int aligned(int bytes) {
  return (bytes + attention::kAlignment - 1) / attention::kAlignment * attention::kAlignment;
}

// Dynamic shared memory of a block, in this order: queries, keys, values as they come, transposed
// values, each buffer aligned to kAlignment; then work, notes on values, barriers.
JIT_HOST_DEVICE constexpr int smem_bytes_of(const Tile& tile) {
  return attention::kAlignment + aligned(query_bytes(tile)) +
         tile.stages * (aligned(key_bytes(tile)) + aligned(value_bytes(tile))) +
         tile.value_stages * aligned(value_bytes(tile)) +
         2 * static_cast<int>(sizeof(attention::Work)) + 8 * tile.value_stages +
         8 * (2 + 4 * tile.stages + 2 * tile.value_stages);
}

// Of a page of `page_rows` tokens (kPageRows), how many come with one copy into a tile.
JIT_HOST_DEVICE constexpr int copied_rows(int page_rows, int block_n) {
  while (page_rows != 0 && block_n % page_rows != 0) page_rows /= 2;
  return page_rows == 0 ? block_n : page_rows;
}

// The fewest rows of so many elements that one copy takes: it must begin at a multiple of 128 bytes
// of shared memory. kPageRows is 0 or at least that of kHeadDim and of kHeadDimV.
JIT_HOST_DEVICE constexpr int least_copied_rows(int head_dim) { return 128 / slab_bytes(head_dim); }

}  // namespace fp8_attention
}  // namespace cubinet
