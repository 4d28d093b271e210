// quantize_e4m3: output[i] = e4m3(input[i] * (1 / scale)), PACKS 16-byte packs per thread.
//
// The fair second half of an unfused pair: as bound by memory as a copy is. All loads of a thread
// are in flight together, and neighbours in a warp have neighbouring packs.
// Launch: grid (ceil(num_packs / (THREADS * PACKS))), block (THREADS); with
//         PROGRAMMATIC_DEPENDENT_LAUNCH as a programmatic dependent, which waits before it reads.
#pragma once

#include "common/math.cuh"
#include "common/memory.cuh"
#include "common/types.cuh"
#include "quantize_e4m3/params.h"

namespace cubinet {
namespace quantize_e4m3 {

template <class Input>
__device__ __forceinline__ void quantize_pack(const Words4& words, float inverse, char* output) {
  constexpr int kPerWord = 4 / static_cast<int>(sizeof(Input));
  float values[4 * kPerWord];
#pragma unroll
  for (int i = 0; i < 4; ++i) unpack_word<Input>(words.word[i], values + i * kPerWord);
#pragma unroll
  for (int i = 0; i < 4 * kPerWord; ++i) values[i] = minimum(values[i] * inverse, 448.0f);
  if constexpr (kPerWord == 2) {
    store_8_bytes_streaming(output, {{pack_e4m3_word(values), pack_e4m3_word(values + 4)}});
  } else {
    store_4_bytes_streaming(output, pack_e4m3_word(values));
  }
}

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using Input = typename Config::INPUT_TYPE;
  constexpr unsigned long long kElementsPerPack = 16 / sizeof(Input);
  const unsigned long long first =
      static_cast<unsigned long long>(blockIdx.x) * (Config::THREADS * Config::PACKS) + threadIdx.x;
  if (first >= params.num_packs) return;
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) {
    allow_next_grids();
    wait_for_previous_grids();
  }
  const float scale = load_float(params.scale, true);
  Words4 words[Config::PACKS];
#pragma unroll
  for (int i = 0; i < Config::PACKS; ++i) {
    const unsigned long long pack = first + i * Config::THREADS;
    words[i] = load_16_bytes_no_allocate(static_cast<const char*>(params.input) + pack * 16,
                                         pack < params.num_packs);
  }
  const float inverse = reciprocal_ieee(scale);
#pragma unroll
  for (int i = 0; i < Config::PACKS; ++i) {
    const unsigned long long pack = first + i * Config::THREADS;
    if (pack >= params.num_packs) return;
    quantize_pack<Input>(words[i], inverse,
                         static_cast<char*>(params.output) + pack * kElementsPerPack);
  }
}

}  // namespace quantize_e4m3
}  // namespace cubinet
