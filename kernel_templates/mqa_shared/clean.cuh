// -inf in the columns of logits that hold no score.
#pragma once

#include "common/memory.cuh"
#include "common/types.cuh"

namespace cubinet {
namespace mqa {

constexpr unsigned int kCleanColumns = 4096;  // of one row, by one warp at a time

// -inf as it lies in memory, so often as a 32-bit word holds it.
template <class Logits>
__device__ __forceinline__ unsigned int minus_infinity_word() {
  if constexpr (is_same<Logits, float>) {
    return 0xFF800000u;
  } else if constexpr (is_same<Logits, bf16>) {
    return 0xFF80FF80u;
  } else {
    static_assert(is_same<Logits, f16>, "logits are float, bf16 or f16");
    return 0xFC00FC00u;
  }
}

template <class Logits>
__device__ __forceinline__ void store_minus_infinity(Logits* to) {
  if constexpr (is_same<Logits, float>) {
    *to = __uint_as_float(minus_infinity_word<float>());
  } else {
    to->bits = static_cast<unsigned short>(minus_infinity_word<Logits>());
  }
}

// Columns [begin, end) of `row`, by the calling warp: 16 bytes a lane, and element by element where
// they are not aligned.
template <class Logits>
__device__ __forceinline__ void clean_columns(Logits* row, unsigned int begin, unsigned int end) {
  constexpr unsigned int kPack = 16 / sizeof(Logits);
  if (begin >= end) return;
  const unsigned int lane = threadIdx.x % 32;
  const unsigned int misaligned = static_cast<unsigned int>(
      reinterpret_cast<unsigned long long>(row + begin) % 16 / sizeof(Logits));
  const unsigned int to_aligned = begin + (kPack - misaligned) % kPack;
  const unsigned int aligned = to_aligned < end ? to_aligned : end;
  const unsigned int packs = (end - aligned) / kPack;
  const unsigned int word = minus_infinity_word<Logits>();
  if (begin + lane < aligned) store_minus_infinity(row + begin + lane);
  for (unsigned int pack = lane; pack < packs; pack += 32) {
    store_16_bytes_streaming(row + aligned + pack * kPack, {{word, word, word, word}});
  }
  const unsigned int rest = aligned + packs * kPack;
  if (rest + lane < end) store_minus_infinity(row + rest + lane);
}

}  // namespace mqa
}  // namespace cubinet
