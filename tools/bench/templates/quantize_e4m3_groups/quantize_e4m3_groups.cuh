// quantize_e4m3_groups: dynamic quantisation to e4m3 with a scale per group of neighbouring
// elements, one 16-byte pack per thread.
//
// The fair second half of an unfused pair: everything is read and written once, scales are those of
// common/group_scale.cuh, and a group never leaves its warp.
// Launch: grid (ceil(num_packs / THREADS)), block (THREADS).
#pragma once

#include "common/group_scale.cuh"
#include "common/math.cuh"
#include "common/memory.cuh"
#include "common/types.cuh"
#include "quantize_e4m3_groups/params.h"

namespace cubinet {
namespace quantize_e4m3_groups {

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using Input = typename Config::INPUT_TYPE;
  constexpr int kPerWord = 4 / static_cast<int>(sizeof(Input));
  constexpr int kPerPack = 4 * kPerWord;
  constexpr int kLanes = Config::GROUP_SIZE / kPerPack;
  const unsigned long long pack =
      static_cast<unsigned long long>(blockIdx.x) * Config::THREADS + threadIdx.x;
  const bool exists = pack < params.num_packs;
  const Words4 words =
      load_16_bytes_no_allocate(static_cast<const char*>(params.input) + pack * 16, exists);
  float values[kPerPack];
#pragma unroll
  for (int i = 0; i < 4; ++i) unpack_word<Input>(words.word[i], values + i * kPerWord);
  const float absmax = absmax_of_group<kLanes, kPerPack>(values);
  if (!exists) return;
  const GroupScale scale = scale_of_group<Config::USE_UE8M0_SCALES>(absmax);
  if (pack % kLanes == 0) store_float(params.scales + pack / kLanes, scale.scale);
#pragma unroll
  for (int i = 0; i < kPerPack; ++i) values[i] = minimum(values[i] * scale.inverse, 448.0f);
  char* const output = static_cast<char*>(params.output) + pack * kPerPack;
  if constexpr (kPerWord == 2) {
    store_8_bytes_streaming(output, {{pack_e4m3_word(values), pack_e4m3_word(values + 4)}});
  } else {
    store_4_bytes_streaming(output, pack_e4m3_word(values));
  }
}

}  // namespace quantize_e4m3_groups
}  // namespace cubinet
