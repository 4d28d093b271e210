// What mla_prefill is compiled for.
#pragma once

#include "mla_prefill/params.h"

namespace cubinet {
namespace mla_prefill {

template <class Config>
struct Shape {
  static constexpr int kMathWarpgroups = Config::kNumThreads / 128 - 1;
  static constexpr attention::Tile kTile{64 * kMathWarpgroups, Config::kBlockN, Config::kHeadDim,
                                         Config::kHeadDimV, Config::kNumStages};
  static constexpr int kKeySlabs = (Config::kHeadDim - Config::kRopeDim) / attention::kSlabElements;
  // Three warpgroups come with 168 registers a thread.
  static constexpr int kMathRegisters = 232;
  static constexpr int kLoadRegisters = 40;

  static_assert(Config::kHeadDim == Config::kHeadDimV ||
                    (Config::kHeadDim == 192 && Config::kHeadDimV == 128),
                "kHeadDimV must be kHeadDim, or 128 where that is 192");
  static_assert(Config::kRopeDim < Config::kHeadDim, "kRopeDim must leave a part of each key");
  static_assert(kMathWarpgroups == 1 || kMathWarpgroups == 2,
                "kNumThreads must be 256 or 384: one warpgroup loads, one or two do maths");
  // A row with one key has it in the tile that is done first then, where weights are exact.
  static_assert(kTile.block_n >= kTile.block_m,
                "kBlockN must be no less than the query rows of a block: 64 of each 128 threads "
                "after the first");
  static_assert(Config::FP8_GROUP_SIZE == 0 || Config::USE_FP8_OUTPUT,
                "FP8_GROUP_SIZE needs USE_FP8_OUTPUT");
  static_assert(Config::FP8_GROUP_SIZE == 0 || Config::kHeadDimV % Config::FP8_GROUP_SIZE == 0,
                "FP8_GROUP_SIZE must divide kHeadDimV");
  static_assert(!Config::USE_UE8M0_SCALES || Config::FP8_GROUP_SIZE != 0,
                "USE_UE8M0_SCALES needs FP8_GROUP_SIZE");
  static_assert(!Config::TAKE_TURNS || kMathWarpgroups >= 2,
                "one warpgroup has nobody to take turns with");
  static_assert(attention::smem_bytes_of(kTile) <= 232448,
                "kNumThreads, kBlockN and kNumStages need more shared memory than a block has");
};

}  // namespace mla_prefill
}  // namespace cubinet
