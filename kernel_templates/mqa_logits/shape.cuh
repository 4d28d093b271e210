// What mqa_logits is compiled for.
#pragma once

#include "mqa_logits/params.h"
#include "mqa_shared/shape.cuh"

namespace cubinet {
namespace mqa_logits {

// kBlockQ query tokens are scored together, by one product.
template <class Config>
struct Shape : mqa::Groups<Config::kBlockQ, Config::kBlockQ, false> {
  using Groups = mqa::Groups<Config::kBlockQ, Config::kBlockQ, false>;
  using Logits = typename Config::LOGITS_TYPE;
  using Output = mqa::OutputOf<Logits, Config::COMPRESSED_LOGITS>;
  static constexpr bool kHasBegins = true;
  static constexpr int kHeads = Config::kNumHeads;
  static constexpr int kHeadDim = Config::kHeadDim;
  static constexpr int kMathWarpgroups = Config::kNumThreads / 128 - 1;
  static constexpr int kMathRegisters = mqa::math_registers(kMathWarpgroups);
  static constexpr int kLoadRegisters = mqa::load_registers(kMathWarpgroups);
  static constexpr int kGroupBytes = Groups::kGroupTokens * kHeads * kHeadDim;
  // Of a math thread: half of the product's columns, a quarter of a weight per head, and some more.
  // Weights that have no room are read from shared memory.
  static constexpr int kProductRegisters = Config::kBlockQ * kHeads / 2;
  static constexpr int kOtherRegisters = 36;
  static constexpr bool kHoldWeights =
      kProductRegisters + Config::kBlockQ * kHeads / 4 + kOtherRegisters <= kMathRegisters;
  static constexpr mqa::Tile kTile{Config::kBlockQ, kHeads, kHeadDim,
                                   kMathWarpgroups* Config::kNumStages, Config::kNumQueryStages};

  static_assert(kMathWarpgroups >= 2 && kMathWarpgroups <= 4,
                "kNumThreads must be 384, 512 or 640: one warpgroup loads, two to four score");
  static_assert(Config::kBlockQ <= mqa::kMaxTokens, "kBlockQ must not exceed 8");
  static_assert(Config::kBlockQ * kHeads <= 256,
                "kBlockQ * kNumHeads must not exceed 256, the columns of one product");
  static_assert(
      kProductRegisters + kOtherRegisters <= kMathRegisters,
      "the product of kBlockQ tokens needs more registers than a thread of kNumThreads has: "
      "take fewer threads or tokens");
  // Beside it a block has what find_part takes.
  static_assert(mqa::smem_bytes_of(kTile) + 128 <= 232448,
                "kNumStages and kNumQueryStages need more shared memory than a block has");
};

}  // namespace mqa_logits
}  // namespace cubinet
