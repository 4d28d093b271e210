// Successive halving: which of some variants is fastest, with as few measurements as that takes.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

// What can be timed: variants at sizes. A seam: tests have a clock of their own.
class VariantTimer {
 public:
  virtual ~VariantTimer() = default;
  // One sample of each of these variants at each size, interleaved in an order of the timer's, so
  // that what drifts drifts for all. Units: microseconds per launch.
  // Returns: samples[i][s] for variants[i] at size s.
  virtual std::vector<std::vector<double>> sample(std::span<const std::size_t> variants) = 0;
  // What the budget is counted in: time since any one moment.
  virtual std::chrono::nanoseconds now() const {
    return std::chrono::steady_clock::now().time_since_epoch();
  }
};

struct HalvingOptions {
  std::size_t sizes = 1;             // per variant
  std::uint32_t first_samples = 4;   // of each variant before the first one is dropped
  std::uint32_t final_samples = 40;  // of each that is left at the end, and of a sweep's variants
  double equal = 0.005;              // closer together than this, or than the noise, is equal
  std::chrono::milliseconds budget{60'000};
  bool exhaustive = false;  // drop nobody
};

struct HalvingResult {
  std::size_t winner = 0;                      // a variant
  std::vector<std::vector<TuningTime>> times;  // by variant and size; empty for one never timed
  std::vector<std::string> dropped;            // by variant: why it was dropped early; may be empty
  double noise = 0;       // see TuningEvidence::noise; 0 where too few samples tell
  double sampled_us = 0;  // of all samples together, a launch each
  bool complete = true;   // false: the budget was used up
};

// Times `variants` (indices, most promising first). A round doubles the samples of those that are
// left. Then those go that are slower than the best with 95 % confidence, by more than `equal` and
// at all sizes together, and of the rest the slower half as far as they are slower beyond noise. It
// ends when whichever is chosen costs less than `equal` with that confidence, or, after 16 samples,
// less than twice of it.
//
// The score of a variant is the geometric mean over sizes of its medians; two are compared sample
// by sample, each pair taken in one round, so that what drifts drifts for both. Variants equal to
// the best within noise (of which no more than 1.5 % counts) or `equal` are one; of them `untuned`
// wins if it is among them, else the first in `variants`: so that repeated tuning ends the same.
// Requires: variants is not empty. Cost: at most final_samples rounds.
HalvingResult halve(VariantTimer& timer, std::span<const std::size_t> variants, std::size_t untuned,
                    const HalvingOptions& options);

}  // namespace jit::inline v1
