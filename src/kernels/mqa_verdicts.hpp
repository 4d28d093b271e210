// Judging the logits of one problem again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <random>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "jit/abi.hpp"

namespace jit::inline v1 {

// MqaVerdicts remembers logits that were found right. Every variant of the kernels gives the same
// bits, so that those of the next one are usually compared in memory alone; others are judged where
// they differ. Whatever is compared, some more items (requests or tokens) are judged each time,
// until enough of those bits were.
class MqaVerdicts {
 public:
  // Judges the logits with the float64 reference for these items. Returns: empty, or what is wrong.
  using Judge = std::function<std::string(std::span<const std::byte> logits,
                                          std::span<const std::int64_t> items)>;
  // Logits are `items` equal parts, of which so many are judged at once.
  MqaVerdicts(Judge judge, std::int64_t items, std::size_t at_once, std::uint64_t seed)
      : judge_(std::move(judge)), items_(items), at_once_(at_once), random_(seed) {}

  // Returns: empty, or what is wrong.
  std::string operator()(std::vector<std::byte> logits);

 private:
  static constexpr std::size_t kTimes = 6;

  std::vector<std::int64_t> draw();
  std::int64_t first_difference(std::span<const std::byte> logits) const;

  Judge judge_;
  std::int64_t items_;
  std::size_t at_once_;
  std::mt19937_64 random_;
  std::vector<std::byte> right_;
  std::set<std::int64_t> judged_;  // items of right_
};

}  // namespace jit::inline v1
