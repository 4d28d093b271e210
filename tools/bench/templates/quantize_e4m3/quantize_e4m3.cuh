// quantize_e4m3: output[i] = e4m3(input[i] * (1 / scale)), one 16-byte pack per thread.
//
// The fair second half of an unfused pair: as bound by memory as a copy is.
// Launch: grid (ceil(num_packs / THREADS)), block (THREADS).
#pragma once

#include "common/math.cuh"
#include "common/memory.cuh"
#include "common/types.cuh"
#include "quantize_e4m3/params.h"

namespace cubinet {
namespace quantize_e4m3 {

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using Input = typename Config::INPUT_TYPE;
  constexpr int kPerWord = 4 / static_cast<int>(sizeof(Input));
  const unsigned long long pack =
      static_cast<unsigned long long>(blockIdx.x) * Config::THREADS + threadIdx.x;
  if (pack >= params.num_packs) return;
  const float scale = load_float(params.scale, true);
  const Words4 words =
      load_16_bytes_no_allocate(static_cast<const char*>(params.input) + pack * 16, true);
  const float inverse = reciprocal_ieee(scale);
  float values[4 * kPerWord];
#pragma unroll
  for (int i = 0; i < 4; ++i) unpack_word<Input>(words.word[i], values + i * kPerWord);
#pragma unroll
  for (int i = 0; i < 4 * kPerWord; ++i) values[i] = minimum(values[i] * inverse, 448.0f);
  char* const output = static_cast<char*>(params.output) + pack * 4 * kPerWord;
  if constexpr (kPerWord == 2) {
    store_8_bytes_streaming(output, {{pack_e4m3_word(values), pack_e4m3_word(values + 4)}});
  } else {
    store_4_bytes_streaming(output, pack_e4m3_word(values));
  }
}

}  // namespace quantize_e4m3
}  // namespace cubinet
