// The grid of mqa_logits: every shape there is, with every kind of range there is.
#pragma once

#include <array>
#include <set>
#include <vector>

#include "gpu/mqa_case.hpp"

namespace jit::test {

// What the ranges of the rows look like.
enum class RangePattern : std::uint8_t {
  kCausal,   // from 0 to the row's own place
  kWindows,  // parts of a sequence that move from row to row
  kAny,      // two random ends
  kEdges,    // ends and lengths around tiles and splits
  kEmpty,    // most rows are empty, in every way
  kAllEmpty,
  kOutOfRange,  // below 0 and beyond the keys
  kScattered,   // narrow ranges far from each other in neighbouring rows
};
inline constexpr std::uint8_t kRangePatterns = 8;

// The constants that choose a kernel.
struct MqaSignature {
  std::int64_t num_heads, head_dim;
  DType type;
  bool compressed, clean, programmatic;

  auto operator<=>(const MqaSignature&) const = default;
};
MqaSignature signature_of(const MqaCase& mqa);
std::set<MqaSignature> signatures_of(const std::vector<MqaCase>& cases);
std::array<Constant, 6> constants_of(const MqaSignature& signature);

// Fresh ranges for the case's tokens and keys.
void set_ranges(MqaCase& mqa, RangePattern pattern, std::uint64_t seed);

// Each of heads 16, 32, 64 and head dims 32, 64, 128 with each pattern twice, everything else drawn
// at random.
std::vector<MqaCase> plan_mqa_cases(std::uint64_t seed);

}  // namespace jit::test
