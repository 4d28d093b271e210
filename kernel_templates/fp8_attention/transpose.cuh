// The warps of fp8_attention that transpose values in shared memory: e4m3 products take both
// operands along K only, and K of the product with the values is keys.
//
// A block of 32 keys x 16 elements is read as four 8 x 8 matrices of pairs of elements, transposed
// on the way, and written as four matrices of pairs of keys. Two orders are free and are chosen so
// that nothing else need be exchanged:
//   keys: of each 16, place 4 * q + b holds key 2 * q + b % 2 + 8 * (b / 2): the keys whose scores
//         lane q of a quad has, in the order in which it packs them;
//   elements: of each 16, row p < 8 is element 2 * p, row 8 + p element 2 * p + 1: the rows of a
//         matrix then lie in different banks. store.cuh puts them back.
#pragma once

#include "common/matrix.cuh"
#include "common/ring.cuh"
#include "common/shared.cuh"
#include "common/swizzle.cuh"
#include "common/sync.cuh"
#include "fp8_attention/memory.cuh"
#include "fp8_attention/shape.cuh"

namespace cubinet {
namespace fp8_attention {

// Transposer is the state of a transposing warp, `warp` of Shape::kTransposingWarps.
template <class Config>
struct Transposer {
  using S = Shape<Config>;
  static constexpr int kBlockN = Config::kBlockN;
  static constexpr int kHeadDimV = Config::kHeadDimV;
  static constexpr int kElementBlocks = kHeadDimV / 16;
  static constexpr int kBlocks = kElementBlocks * (kBlockN / 32);
  using Raw = SwizzledTile<S::kValueSlab>;
  using Transposed = SwizzledTile<S::kKeySlab>;

  const Memory<S>& memory;
  int warp;

  // One of the lane's rows of a block: where it is read, or where it is written.
  __device__ __forceinline__ static unsigned int source_of(int key_block, int element_block) {
    const unsigned int byte = static_cast<unsigned int>(element_block) * 16u;
    const unsigned int key = static_cast<unsigned int>(key_block) * 32u + threadIdx.x % 32u;
    return byte / S::kValueSlab * (kBlockN * S::kValueSlab) +
           Raw::offset(key, byte % S::kValueSlab);
  }
  __device__ __forceinline__ static unsigned int target_of(int key_block, int element_block) {
    const unsigned int lane = threadIdx.x % 32u;
    const unsigned int row = static_cast<unsigned int>(element_block) * 16u + lane % 16u;
    const unsigned int byte = static_cast<unsigned int>(key_block) * 32u + lane / 16u * 16u;
    return byte / S::kKeySlab * (kHeadDimV * S::kKeySlab) +
           Transposed::offset(row, byte % S::kKeySlab);
  }

  // Places of a word whose keys are below `valid`, counted from the word's 16 keys.
  __device__ __forceinline__ static unsigned int places_below(int valid) {
    const int key = 2 * static_cast<int>(threadIdx.x % 4u);
    return (key < valid ? 0x000000FFu : 0u) | (key + 1 < valid ? 0x0000FF00u : 0u) |
           (key + 8 < valid ? 0x00FF0000u : 0u) | (key + 9 < valid ? 0xFF000000u : 0u);
  }

  // With MASKED keys from `valid` on become 0: they are another's, and 0 times a NaN is a NaN.
  template <bool MASKED>
  __device__ __forceinline__ void transpose(unsigned int source, unsigned int target,
                                            int valid) const {
#pragma unroll 4
    for (int block = warp; block < kBlocks; block += S::kTransposingWarps) {
      const int key_block = block / kElementBlocks;
      const int element_block = block % kElementBlocks;
      unsigned int pairs[4];
      load_matrices_transposed(pairs, source + source_of(key_block, element_block));
      unsigned int words[4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        words[i] =
            __byte_perm(pairs[i / 2 * 2], pairs[i / 2 * 2 + 1], i % 2 == 0 ? 0x6420 : 0x7531);
      }
      if constexpr (MASKED) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          words[i] &= places_below(valid - key_block * 32 - i / 2 * 16);
        }
      }
      store_matrices(target + target_of(key_block, element_block), words);
    }
  }

  // One lane of the warp.
  __device__ __forceinline__ static void arrive(Mbarrier* barrier) {
    if (threadIdx.x % 32 == 0) mbarrier_arrive(barrier);
  }

  __device__ __forceinline__ int read_note(int stage) const {
    int note = 0;
    if (threadIdx.x % 32 == 0) note = *memory.note(stage);
    return warp_uniform(note);
  }

  __device__ __forceinline__ void transpose_all() const {
    Ring<Config::kValueStages> raw{};
    Ring<Config::kNumStages> values{};
#pragma unroll 1
    for (;;) {
      mbarrier_wait_parity(memory.raw_full(raw.stage), raw.parity);
      const int valid = read_note(raw.stage);
      if (valid < 0) break;
      mbarrier_wait_parity(memory.value_empty(values.stage), values.parity ^ 1u);
      const unsigned int source = shared_address(memory.raw_values(raw.stage));
      const unsigned int target = shared_address(memory.values(values.stage));
      if (valid >= kBlockN) {
        transpose<false>(source, target, valid);
      } else {
        transpose<true>(source, target, valid);
      }
      fence_proxy_async_shared();
      __syncwarp();
      arrive(memory.value_full(values.stage));
      arrive(memory.raw_empty(raw.stage));
      raw.advance();
      values.advance();
    }
  }
};

}  // namespace fp8_attention
}  // namespace cubinet
