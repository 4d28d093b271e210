// What fp8_attention writes: the rows of a warpgroup's accumulators, with their LSEs.
//
// Of 16 elements each lane of a quad has four neighbouring ones, in the accumulators that the order
// of elements in transpose.cuh gives them; a lane writes its four at once, a quad all 16.
//
// Numerics: an element is accumulator * factor, rounded once; e4m3 saturates, a NaN becomes 448.
#pragma once

#include "common/memory.cuh"
#include "common/thread.cuh"
#include "common/types.cuh"
#include "fp8_attention/shape.cuh"

namespace cubinet {
namespace fp8_attention {

// Of the calling thread's two rows, lane / 4 and 8 after it of its warp's 16.
struct RowResults {
  float factor[2];  // v_descale / row sum; for e4m3 by 1 / output_scale
  float lse[2];
};

template <class Config>
struct Store {
  static constexpr int kBytes = Config::SPLIT ? 4 : Config::USE_FP8_OUTPUT ? 1 : 2;

  // Four neighbouring elements.
  __device__ __forceinline__ static void store_four(char* address, float (&own)[4]) {
    if constexpr (Config::SPLIT) {
      Words4 words;
#pragma unroll
      for (int i = 0; i < 4; ++i) words.word[i] = __float_as_uint(own[i]);
      store_16_bytes_streaming(address, words);
    } else if constexpr (Config::USE_FP8_OUTPUT) {
      // min() returns the number when the other operand is a NaN; the conversion saturates the
      // rest.
#pragma unroll
      for (int i = 0; i < 4; ++i) own[i] = minimum(own[i], 448.0f);
      store_4_bytes_streaming(address, pack_e4m3_word(own));
    } else {
      store_8_bytes_streaming(address, {{pack_word<bf16>(own), pack_word<bf16>(own + 2)}});
    }
  }

  // first_row: of the warpgroup, in the block. Parts without keys have no output.
  __device__ __forceinline__ static void store(const float (&accumulators)[Config::kHeadDimV / 2],
                                               const RowResults& results, const Params& params,
                                               const attention::Work& work, int first_row) {
    const unsigned int thread = thread_now();
    const int own_row = first_row + static_cast<int>(thread % 128 / 32 * 16 + thread % 32 / 4);
    const int quad_lane = static_cast<int>(thread % 4);
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int row = own_row + 8 * half;
      const int token = row / Config::kPackGqa;
      const int head = work.head + row % Config::kPackGqa;
      if (token >= work.rows) continue;
      const long long at = work.row + token;
      if (params.lse != nullptr && quad_lane == 0) {
        float* lse = params.lse + (head * params.lse_head_stride + at);
        if constexpr (Config::SPLIT) lse += work.split * params.lse_split_stride;
        store_float(lse, results.lse[half]);
      }
      if (Config::SPLIT && results.lse[half] == attention::minus_infinity()) continue;
      long long element = at * params.out_token_stride + head * params.out_head_stride;
      if constexpr (Config::SPLIT) element += work.split * params.out_split_stride;
      char* const address = static_cast<char*>(params.out) + element * kBytes;
#pragma unroll
      for (int block = 0; block < Config::kHeadDimV / 16; ++block) {
        const float* const pairs = accumulators + 8 * block + 2 * half;
        float own[4] = {pairs[0], pairs[4], pairs[1], pairs[5]};
#pragma unroll
        for (int i = 0; i < 4; ++i) own[i] *= results.factor[half];
        store_four(address + (block * 16 + quad_lane * 4) * kBytes, own);
      }
    }
  }
};

}  // namespace fp8_attention
}  // namespace cubinet
