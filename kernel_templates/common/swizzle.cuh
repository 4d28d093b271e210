// Operand tiles in shared memory as types: where an element lies, and the wgmma descriptor.
//
// A tile is rows of ROW_BYTES bytes, one after another, whose 16-byte chunks are exchanged so that
// neither rows nor columns of chunks meet a bank twice: bits 4.. of an address are XORed with bits
// 7.., as many as a row has chunk bits. A TMA box whose rows are as wide as its map's swizzle lands
// in just this layout, and offset() tells threads where an element is.
//
//   ROW_BYTES   16    32    64   128
//   chunk ^=     0  row/4 row/2  row    modulo the chunks of a row
//   repeats    128   256   512  1024    bytes; a tile begins at a multiple of it
//
// Source: PTX ISA 9.0, 5.5.7 "Swizzling Modes", 9.7.15.5.1.2 "Shared Memory Matrix Layout",
//         9.7.15.5.1.2.2 "Matrix Descriptor Format".
#pragma once

#include "common/shared.cuh"

namespace cubinet {

namespace detail {

// Descriptor: bits 0-13 start, 16-29 leading offset, 32-45 stride offset, each in units of 16
// bytes; 49-51 base offset, 0 for tiles that begin at a multiple of their repeat; 62-63 swizzle.
template <int ROW_BYTES>
__device__ __forceinline__ unsigned long long matrix_descriptor(unsigned int address,
                                                                unsigned int leading_bytes,
                                                                unsigned int stride_bytes) {
  constexpr unsigned long long kMode = ROW_BYTES == 128  ? 1ull
                                       : ROW_BYTES == 64 ? 2ull
                                       : ROW_BYTES == 32 ? 3ull
                                                         : 0ull;
  return (kMode << 62) | (static_cast<unsigned long long>(stride_bytes >> 4) << 32) |
         (static_cast<unsigned long long>(leading_bytes >> 4) << 16) | ((address & 0x3FFFFu) >> 4);
}

template <int ROW_BYTES>
struct SwizzledRows {
  static_assert(ROW_BYTES == 16 || ROW_BYTES == 32 || ROW_BYTES == 64 || ROW_BYTES == 128,
                "a row must be 16, 32, 64 or 128 bytes: the widths of swizzling");
  static constexpr int kRowBytes = ROW_BYTES;
  static constexpr int kChunksPerRow = ROW_BYTES / 16;
  static constexpr int kAlignment = 8 * ROW_BYTES;  // of a tile

  // Where byte `byte` of row `row` lies, from the tile's begin.
  __device__ __forceinline__ static unsigned int offset(unsigned int row, unsigned int byte) {
    const unsigned int straight = row * ROW_BYTES + byte;
    return straight ^ (((straight >> 7) & (kChunksPerRow - 1)) << 4);
  }
};

}  // namespace detail

// SwizzledTile is a K-major operand: row r of it is row r of A, or column r of B, and its bytes run
// along K. Any number of rows that is a multiple of 8. What is longer than 128 bytes along K is
// several tiles.
template <int ROW_BYTES>
struct SwizzledTile : detail::SwizzledRows<ROW_BYTES> {
  // The descriptor of the first 32 bytes along K: one instruction's depth.
  //
  // Requires: ROW_BYTES of 32 or more.
  __device__ __forceinline__ static unsigned long long descriptor(const void* tile) {
    static_assert(ROW_BYTES >= 32, "rows of 16 bytes need a second tile: descriptor(tile, bytes)");
    return detail::matrix_descriptor<ROW_BYTES>(shared_address(tile), 16, 8 * ROW_BYTES);
  }

  // Rows of 16 bytes, not swizzled: `next_tile_bytes` on lies the tile with the next 16 bytes of K.
  __device__ __forceinline__ static unsigned long long descriptor(const void* tile,
                                                                  unsigned int next_tile_bytes) {
    static_assert(ROW_BYTES == 16, "wider rows hold both halves of a step: descriptor(tile)");
    return detail::matrix_descriptor<ROW_BYTES>(shared_address(tile), next_tile_bytes, 128);
  }
};

// The descriptor of the operand that begins `bytes` further: within a swizzled row, the next step
// along K (32 bytes of it); from tile to tile, the tile's size.
//
// Requires: a multiple of 16; within a row, of 32.
__device__ __forceinline__ unsigned long long advance_k(unsigned long long descriptor,
                                                        unsigned int bytes) {
  return descriptor + (bytes >> 4);
}

// MajorTile is an M- or N-major operand, 16-bit types only: row k of it is step k along K, and its
// bytes run along M of A, or N of B. What is longer than ROW_BYTES along M or N is several tiles,
// side by side in memory.
template <int ROW_BYTES>
struct MajorTile : detail::SwizzledRows<ROW_BYTES> {
  // The descriptor of the first 16 rows: one instruction's depth. `next_tile_bytes` on lies the
  // tile with the next ROW_BYTES along M or N; any value where there is none.
  //
  // Advance: 16 rows along K are advance_k(descriptor, 16 * ROW_BYTES).
  __device__ __forceinline__ static unsigned long long descriptor(const void* tile,
                                                                  unsigned int next_tile_bytes) {
    if constexpr (ROW_BYTES == 16) {
      return detail::matrix_descriptor<16>(shared_address(tile), 128, next_tile_bytes);
    } else {
      return detail::matrix_descriptor<ROW_BYTES>(shared_address(tile), next_tile_bytes,
                                                  8 * ROW_BYTES);
    }
  }
};

}  // namespace cubinet
