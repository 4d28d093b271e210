// Online softmax of the score rows that a warpgroup holds, with weights for e4m3.
//
// Rows and columns of a thread are those of attention_shared/softmax.cuh.
#pragma once

#include "attention_shared/softmax.cuh"
#include "common/math.cuh"
#include "common/types.cuh"
#include "common/warp.cuh"

namespace cubinet {
namespace fp8_attention {

// SoftmaxRows is what is known of a thread's two rows after some of the keys.
//
// The weight of score s is 2^((s - largest) * scale + kShift): up to 256, so that e4m3 tells
// weights down to 2^-17 of the largest, and its end of 448 is not reached. Sums are of unrounded
// weights. Result: of a row alone, whatever the other rows hold.
struct SoftmaxRows {
  static constexpr float kShift = 8.0f;

  float largest[2] = {attention::minus_infinity(), attention::minus_infinity()};
  float sum[2] = {0.0f, 0.0f};  // of the columns of this thread
  float offset[2];              // of exponents, of the tile that was noted last

  // Takes note of the scores of a tile. What was added up before it is to be multiplied by
  // `correction`.
  template <int COUNT>
  __device__ __forceinline__ void find_largest(const float (&scores)[COUNT], float scale,
                                               float (&correction)[2]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      const float next = maximum(largest[row], quad_max(largest_of(scores, row)));
      // Without a key all scores are -infinity, and so are their exponents.
      const float base = next == attention::minus_infinity() ? 0.0f : next;
      correction[row] = exp2_approx((largest[row] - base) * scale);
      largest[row] = next;
      offset[row] = __fmaf_rn(base, -scale, kShift);
    }
  }

  // Turns the scores of that tile into weights.
  template <int COUNT>
  __device__ __forceinline__ void weigh(float (&scores)[COUNT], float scale,
                                        const float (&correction)[2]) {
#pragma unroll
    for (int row = 0; row < 2; ++row) {
      float sums[2] = {0.0f, 0.0f};
#pragma unroll
      for (int i = 2 * row; i < COUNT; i += 4) {
        scores[i] = exp2_approx(__fmaf_rn(scores[i], scale, offset[row]));
        scores[i + 1] = exp2_approx(__fmaf_rn(scores[i + 1], scale, offset[row]));
        sums[i / 4 % 2] += scores[i] + scores[i + 1];
      }
      sum[row] = __fmaf_rn(sum[row], correction[row], sums[0] + sums[1]);
    }
  }

  // After the last tile: the sums of whole rows.
  __device__ __forceinline__ void finish() {
    sum[0] = quad_sum(sum[0]);
    sum[1] = quad_sum(sum[1]);
  }

  // Natural logarithm of the sum of e^score over a row's keys.
  __device__ __forceinline__ float lse(int row, float scale) const {
    if (sum[row] == 0.0f) return attention::minus_infinity();
    return (__fmaf_rn(largest[row], scale, -kShift) + log2_approx(sum[row])) * kLn2;
  }

 private:
  template <int COUNT>
  __device__ __forceinline__ static float largest_of(const float (&scores)[COUNT], int row) {
    float values[2] = {attention::minus_infinity(), attention::minus_infinity()};
#pragma unroll
    for (int i = 2 * row; i < COUNT; i += 4) {
      values[i / 4 % 2] = maximum(values[i / 4 % 2], maximum(scores[i], scores[i + 1]));
    }
    return maximum(values[0], values[1]);
  }
};

// Weights as the A operand of the product with the values, 32 keys (16 accumulators) a step, their
// keys in the order of transpose.cuh.
template <int COUNT>
__device__ __forceinline__ void pack_weights(unsigned int (&packed)[COUNT / 16][4],
                                             const float (&weights)[COUNT]) {
#pragma unroll
  for (int step = 0; step < COUNT / 16; ++step) {
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int first = 16 * step + 8 * (i / 2) + 2 * (i % 2);
      const float own[4] = {weights[first], weights[first + 1], weights[first + 4],
                            weights[first + 5]};
      packed[step][i] = pack_e4m3_word(own);
    }
  }
}

// Scores of keys that a row does not see become -infinity: row r of the two sees those from
// begin[r] to below end[r], counted from the tile's first key.
template <bool HAS_BEGIN, int COUNT>
__device__ __forceinline__ void mask(float (&scores)[COUNT], const int (&begin)[2],
                                     const int (&end)[2]) {
  const int column = 2 * static_cast<int>(threadIdx.x % 4);
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    const int key = 8 * (i / 4) + i % 2;
    const int row = i / 2 % 2;
    if (key >= end[row] - column) scores[i] = attention::minus_infinity();
    if (HAS_BEGIN && key < begin[row] - column) scores[i] = attention::minus_infinity();
  }
}

// softcap * tanh(score / softcap) in units of softcap; factor: of scores before it. By
// exponentials, since the hardware's tanh has 11 bits, which a softcap of 50 would bring to 0.02 of
// a score.
template <int COUNT>
__device__ __forceinline__ void cap(float (&scores)[COUNT], float factor) {
  const float exponent = 2.0f * kLog2E * factor;
#pragma unroll
  for (int i = 0; i < COUNT; ++i) {
    scores[i] = __fmaf_rn(reciprocal_approx(exp2_approx(scores[i] * exponent) + 1.0f), -2.0f, 1.0f);
  }
}

}  // namespace fp8_attention
}  // namespace cubinet
