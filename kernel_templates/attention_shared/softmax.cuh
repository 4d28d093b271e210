// Online softmax of the score rows that a warpgroup holds as a wgmma accumulator, and their mask.
//
// Each thread holds two rows, lane / 4 and 8 more of its warp's 16; element i of its scores is of
// row i / 2 % 2, and of column 8 * (i / 4) + 2 * (lane % 4) + i % 2. The four lanes of a quad share
// rows.
#pragma once

#include "attention_shared/order.cuh"
#include "common/math.cuh"
#include "common/types.cuh"
#include "common/warp.cuh"

namespace cubinet {
namespace attention {

__device__ __forceinline__ float minus_infinity() { return __uint_as_float(0xFF800000u); }

// SoftmaxRows is what is known of a thread's two rows after some of the keys.
//
// With `scale` = softmax_scale * log2(e), the weight of score s is 2^((s - reference) * scale).
// References are maxima, or up to kSlack / scale below them: accumulators are then not touched,
// and weights reach 2^kSlack at most.
// Numerics: weights are fp32 where they are added up. With EXACT the key that is the reference has
//           the weight 1 exactly, so that a row with one key has exactly that key's value; else it
//           may be off by 2^-24 of |score * scale|, for one instruction less per score.
// Result: of a row alone, whatever the other rows hold.
struct SoftmaxRows {
  static constexpr float kSlack = 8.0f;

  float reference[2] = {minus_infinity(), minus_infinity()};
  float sum[2] = {0.0f, 0.0f};  // of the columns of this thread

  // Turns the scores of a tile into weights. What was accumulated so far is to be multiplied by
  // `correction`.
  template <bool EXACT, int COUNT>
  __device__ __forceinline__ void weigh(float (&scores)[COUNT], float scale,
                                        float (&correction)[2]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float largest[2] = {minus_infinity(), minus_infinity()};
#pragma unroll
      for (int i = 2 * row; i < COUNT; i += 4) {
        largest[i / 4 % 2] = maximum(largest[i / 4 % 2], maximum(scores[i], scores[i + 1]));
      }
      const float tile_largest = quad_max(maximum(largest[0], largest[1]));
      // True as well when there was no key yet, unless there is none still; false beside a NaN.
      const bool rises = (tile_largest - reference[row]) * scale > kSlack;
      const float next = rises ? tile_largest : reference[row];
      // Without a key all scores are -infinity, and so are their exponents.
      const float base = next == minus_infinity() ? 0.0f : next;
      correction[row] = rises ? exp2_approx((reference[row] - base) * scale) : 1.0f;
      reference[row] = next;
      exponentiate<EXACT>(scores, row, base, scale);
      sum[row] = sum[row] * correction[row] + add_up(scores, row);
    }
  }

  // After the last tile: the sums of whole rows.
  __device__ __forceinline__ void finish() {
    sum[0] = quad_sum(sum[0]);
    sum[1] = quad_sum(sum[1]);
  }

  // Natural logarithm of the sum of e^(softmax_scale * product) over a row's keys.
  __device__ __forceinline__ float lse(int row, float scale) const {
    if (sum[row] == 0.0f) return minus_infinity();
    return (reference[row] * scale + log2_approx(sum[row])) * kLn2;
  }

 private:
  template <bool EXACT, int COUNT>
  __device__ __forceinline__ static void exponentiate(float (&scores)[COUNT], int row, float base,
                                                      float scale) {
    const float offset = base * scale;
#pragma unroll
    for (int i = 2 * row; i < COUNT; i += 4) {
#pragma unroll
      for (int j = i; j < i + 2; ++j) {
        // The product alone is off from `offset` by its rounding, also for the largest score.
        scores[j] =
            exp2_approx(EXACT ? (scores[j] - base) * scale : __fmaf_rn(scores[j], scale, -offset));
      }
    }
  }

  template <int COUNT>
  __device__ __forceinline__ static float add_up(const float (&weights)[COUNT], int row) {
    float sums[2] = {0.0f, 0.0f};
#pragma unroll
    for (int i = 2 * row; i < COUNT; i += 4) {
      sums[i / 4 % 2] += weights[i] + weights[i + 1];
    }
    return sums[0] + sums[1];
  }
};

// -infinity for the scores of keys that a row does not see: row r of the two sees those below
// limit[r], counted from the tile's first key.
template <int COUNT>
__device__ __forceinline__ void mask(float (&scores)[COUNT], const int (&limit)[2]) {
  const int column = 2 * (threadIdx.x % 4);
  const int own[2] = {limit[0] - column, limit[1] - column};
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    if (8 * (i / 4) + i % 2 >= own[i / 2 % 2]) scores[i] = minus_infinity();
  }
}

// Weights as the A operand of the product with the values, 16 keys (8 accumulators) a step.
template <int COUNT>
__device__ __forceinline__ void pack_weights(unsigned int (&packed)[COUNT / 8][4],
                                             const float (&weights)[COUNT]) {
#pragma unroll
  for (int step = 0; step < COUNT / 8; ++step) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      packed[step][i] = pack_word<bf16>(weights + 8 * step + 2 * i);
    }
  }
}

// Multiplies accumulators by the correction of their row; skipped where it is 1 in a whole warp,
// which changes no bit.
template <int COUNT>
__device__ __forceinline__ void correct(float (&accumulators)[COUNT],
                                        const float (&correction)[2]) {
  if (__all_sync(0xFFFFFFFFu, correction[0] == 1.0f && correction[1] == 1.0f)) return;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) accumulators[i] *= correction[i / 2 % 2];
}

}  // namespace attention
}  // namespace cubinet
