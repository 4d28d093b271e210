// The plan of the strict grid: which calls of merge_attn_states are tried.
//
// The full product has hundreds of millions of calls. The plan has every pair of values of any two
// factors, every kernel that the shape constants give in three calls of random run-time values, and
// a few large calls.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gpu/merge_case.hpp"

namespace jit::test {

enum Factor : std::uint8_t {
  kType,
  kOutput,  // same type, or e4m3 with one of the scales
  kHasLse,
  kTokens,
  kHeads,
  kHeadSize,
  kContext,
  kStrides,
  kPattern,
  kProgrammatic,
  kFactorCount
};

// How many values each factor has.
inline constexpr std::array<std::uint8_t, kFactorCount> kLevelCounts{3,  11, 2, 11, 9,
                                                                     10, 6,  6, 5,  2};

// One value of each factor.
using Levels = std::array<std::uint8_t, kFactorCount>;

// The call that these values make; what is no factor comes from `seed`.
MergeCase case_of(const Levels& levels, std::uint64_t seed);

// The pairs of values that no row has. A pair is (factor, level, factor, level).
using Pair = std::array<std::uint8_t, 4>;
std::set<Pair> uncovered_pairs(const std::vector<Levels>& rows);

// The same seed gives the same plan.
std::vector<Levels> pairwise_rows(std::uint64_t seed);
std::vector<MergeCase> plan_cases(std::uint64_t seed);

// What the kernel of a call depends on: shape constants, and the bucket of its token count.
struct MergeSignature {
  DType type;
  bool fp8;
  std::uint32_t group;
  bool ue8m0;
  bool has_lse;
  bool programmatic;
  std::uint32_t head_size;
  std::int64_t tokens_in_bucket;  // stands for its bucket: 1 or 4096
  auto operator<=>(const MergeSignature&) const = default;
};
MergeSignature signature_of(const MergeCase& merge);
std::set<MergeSignature> signatures_of(const std::vector<MergeCase>& cases);

}  // namespace jit::test
