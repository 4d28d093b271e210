// Sizes as requests have them, for tests that make thousands.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

namespace jit::testing {

// RandomSizes gives the same numbers for the same seed.
class RandomSizes {
 public:
  explicit RandomSizes(std::uint64_t seed) : random_(seed) {}

  // 1 to `last`, all magnitudes alike.
  std::int64_t number(std::int64_t last) {
    const std::int64_t bound = std::int64_t{1} << (random_() % 63);
    return static_cast<std::int64_t>(random_() %
                                     static_cast<std::uint64_t>(std::min(bound, last))) +
           1;
  }

 private:
  std::mt19937_64 random_;
};

}  // namespace jit::testing
