// Tiles whose row width is known at run time only, and accumulators at their documented places.
#pragma once

#include "common/swizzle.cuh"
#include "common/types.cuh"
#include "test_shared/wgmma_params.h"

namespace cubinet {
namespace test_wgmma {

__device__ __forceinline__ unsigned int offset_in_tile(unsigned int row_bytes, unsigned int row,
                                                       unsigned int byte) {
  switch (row_bytes) {
    case 16: return SwizzledTile<16>::offset(row, byte);
    case 32: return SwizzledTile<32>::offset(row, byte);
    case 64: return SwizzledTile<64>::offset(row, byte);
    default: return SwizzledTile<128>::offset(row, byte);
  }
}

// Of a K-major operand whose tiles of `rows` rows lie one after another.
__device__ __forceinline__ unsigned long long k_major_descriptor(unsigned int row_bytes,
                                                                 const void* tiles,
                                                                 unsigned int rows) {
  switch (row_bytes) {
    case 16: return SwizzledTile<16>::descriptor(tiles, 16 * rows);
    case 32: return SwizzledTile<32>::descriptor(tiles);
    case 64: return SwizzledTile<64>::descriptor(tiles);
    default: return SwizzledTile<128>::descriptor(tiles);
  }
}

// Of an M- or N-major operand whose tiles of `depth` rows lie one after another.
__device__ __forceinline__ unsigned long long major_descriptor(unsigned int row_bytes,
                                                               const void* tiles,
                                                               unsigned int depth) {
  switch (row_bytes) {
    case 16: return MajorTile<16>::descriptor(tiles, 16 * depth);
    case 32: return MajorTile<32>::descriptor(tiles, 32 * depth);
    case 64: return MajorTile<64>::descriptor(tiles, 64 * depth);
    default: return MajorTile<128>::descriptor(tiles, 128 * depth);
  }
}

// From the begin of a K-major operand to byte `byte` along K: across tiles, then within a row.
__device__ __forceinline__ unsigned int k_advance(unsigned int row_bytes, unsigned int rows,
                                                  unsigned int byte) {
  return byte / row_bytes * rows * row_bytes + byte % row_bytes;
}

// Writes [rows, kDepthBytes] of global memory as K-major tiles; all threads of the block together.
__device__ __forceinline__ void fill_k_major(unsigned char* tiles, const unsigned char* from,
                                             unsigned int rows, unsigned int row_bytes) {
  for (unsigned int i = threadIdx.x; i < rows * kDepthBytes; i += blockDim.x) {
    const unsigned int row = i / kDepthBytes;
    const unsigned int byte = i % kDepthBytes;
    const unsigned int tile = byte / row_bytes * rows * row_bytes;
    tiles[tile + offset_in_tile(row_bytes, row, byte % row_bytes)] = from[i];
  }
}

// Writes [rows, depth] 16-bit elements of global memory as M- or N-major tiles.
__device__ __forceinline__ void fill_major(unsigned char* tiles, const bf16* from,
                                           unsigned int rows, unsigned int row_bytes) {
  constexpr unsigned int kDepth = kDepthBytes / 2;
  for (unsigned int i = threadIdx.x; i < rows * kDepth; i += blockDim.x) {
    const unsigned int byte = 2 * (i / kDepth);
    const unsigned int tile = byte / row_bytes * kDepth * row_bytes;
    const unsigned int offset = tile + offset_in_tile(row_bytes, i % kDepth, byte % row_bytes);
    *reinterpret_cast<bf16*>(tiles + offset) = from[i];
  }
}

// Where accumulator i of the calling thread lies in [64, N].
template <int N>
__device__ __forceinline__ unsigned int place_in_d(unsigned int i) {
  const unsigned int lane = threadIdx.x % 32;
  const unsigned int row = 16 * (threadIdx.x / 32) + lane / 4 + 8 * (i / 2 % 2);
  return row * N + 8 * (i / 4) + 2 * (lane % 4) + i % 2;
}

// Accumulators with their first values: NaN where they must not count.
template <int N>
__device__ __forceinline__ void begin(const Params& params, float (&d)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) {
    d[i] = params.accumulate != 0 ? params.c[blockIdx.x * kRows * N + place_in_d<N>(i)]
                                  : __uint_as_float(0x7FFFFFFFu);
  }
}

template <int N>
__device__ __forceinline__ void finish(const Params& params, const float (&d)[N / 2]) {
#pragma unroll
  for (int i = 0; i < N / 2; ++i) params.d[blockIdx.x * kRows * N + place_in_d<N>(i)] = d[i];
}

}  // namespace test_wgmma
}  // namespace cubinet
