// What paged_mqa_logits is compiled for.
#pragma once

#include "mqa_shared/shape.cuh"
#include "paged_mqa_logits/params.h"

namespace cubinet {
namespace paged_mqa_logits {

template <class Config>
struct Shape : mqa::Groups<(Config::kNextN + Config::kNumNextNAtoms - 1) / Config::kNumNextNAtoms,
                           Config::kNextNAtom, Config::kPadOddN> {
  using Groups = mqa::Groups<(Config::kNextN + Config::kNumNextNAtoms - 1) / Config::kNumNextNAtoms,
                             Config::kNextNAtom, Config::kPadOddN>;
  using Logits = typename Config::LOGITS_TYPE;
  using Output = mqa::OutputOf<Logits, false>;
  static constexpr bool kHasBegins = false;
  static constexpr int kHeads = Config::kNumHeads;
  static constexpr int kHeadDim = Config::kHeadDim;
  static constexpr int kPasses = Config::kNumNextNAtoms;
  static constexpr int kMathWarpgroups = Config::kNumThreads / 128 - 1;
  static constexpr int kMathRegisters = mqa::math_registers(kMathWarpgroups);
  static constexpr int kLoadRegisters = mqa::load_registers(kMathWarpgroups);
  static constexpr int kGroupBytes = Groups::kGroupTokens * kHeads * kHeadDim;
  // Of a math thread: half of the columns of all products, a quarter of a weight per head, and some
  // more. Weights that have no room are read from shared memory.
  static constexpr int kProductRegisters = Groups::kComputedTokens * kHeads / 2;
  static constexpr int kOtherRegisters = 16;
  static constexpr bool kHoldWeights =
      kProductRegisters + Groups::kTokens * kHeads / 4 + kOtherRegisters <= kMathRegisters;
  static constexpr mqa::Tile kTile{Groups::kComputedTokens, kHeads, kHeadDim,
                                   kMathWarpgroups* Config::kNumStages, Config::kNumQueryStages};

  static_assert(kMathWarpgroups >= 2 && kMathWarpgroups <= 4,
                "kNumThreads must be 384, 512 or 640: one warpgroup loads, two to four score");
  static_assert(
      kProductRegisters + 36 <= kMathRegisters,
      "the products of kNextN / kNumNextNAtoms tokens need more registers than a thread of "
      "kNumThreads has: take fewer threads or more atoms");
  static_assert((kPasses - 1) * Groups::kTokens < Config::kNextN,
                "kNumNextNAtoms leaves an atom without tokens: take a number that divides kNextN "
                "into as many, the last one smaller");
  static_assert(Groups::kGroupTokens * kHeads <= 256,
                "kNextNAtom * kNumHeads must not exceed 256, the columns of one product");
  // Beside it a block has what find_part takes.
  static_assert(mqa::smem_bytes_of(kTile) + 128 <= 232448,
                "kNumStages and kNumQueryStages need more shared memory than a block has");
};

}  // namespace paged_mqa_logits
}  // namespace cubinet
