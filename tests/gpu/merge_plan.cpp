#include "gpu/merge_plan.hpp"

#include <algorithm>
#include <limits>
#include <random>

namespace jit::test {
namespace {

constexpr std::array<DType, 3> kTypes{f32, f16, bf16};
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::array<float, 10> kScales{1e-4F, 0.05F, 0.1F,   0.5F, 16.0F,
                                        0.0F,  -0.0F, -0.25F, kNaN, kInfinity};
constexpr std::array<std::uint32_t, 11> kTokenCounts{0,   1,   2,   3,    17,  128,
                                                     256, 257, 613, 1024, 4096};
constexpr std::array<std::uint32_t, 9> kHeadCounts{1, 3, 4, 8, 16, 32, 48, 64, 128};
constexpr std::uint32_t kSmallest = 0;  // one pack: 4 elements of f32, 8 of the others
constexpr std::array<std::uint32_t, 10> kHeadSizes{kSmallest, 8,   32,  48,  64,
                                                   96,        128, 192, 256, 512};

// 4096 tokens x 128 heads x the smallest head size.
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 22;
constexpr std::uint64_t kMaxFillElements = std::uint64_t{1} << 18;
constexpr int kCallsPerKernel = 3;
constexpr int kCompletions = 30;
constexpr std::int64_t kLargestDecode = 64;  // the bucket's edge in the manifest

std::uint32_t elements_per_pack(DType type) { return type == f32 ? 4 : 8; }

void set_context(MergeCase& merge, std::uint8_t level) {
  const std::uint32_t tokens = merge.tokens;
  switch (level) {
    case 1: merge.context = 0; break;
    case 2: merge.context = std::min(1U, tokens); break;
    case 3: merge.context = std::min(128U, tokens); break;
    case 4: merge.context = tokens == 0 ? 0 : tokens - 1; break;
    case 5: merge.context = tokens; break;
    default: break;
  }
}

void set_strides(MergeCase& merge, std::uint8_t level, std::mt19937_64& engine) {
  const std::uint32_t pack = elements_per_pack(merge.type);
  const auto some = [&] { return pack * static_cast<std::uint32_t>(1 + engine() % 8); };
  merge.input_stride = merge.output_stride = merge.head_size;
  switch (level) {
    case 1: merge.input_stride += 64; break;  // as 192 of which 128 are used
    case 2: merge.output_stride += 64; break;
    case 3: merge.input_stride += some(); break;
    case 4: merge.output_stride += some(); break;
    case 5:
      merge.input_stride += some();
      merge.output_stride += some();
      break;
    default: break;
  }
}

Levels random_levels(std::mt19937_64& engine) {
  Levels levels{};
  for (std::size_t i = 0; i < levels.size(); ++i) {
    levels[i] = static_cast<std::uint8_t>(engine() % kLevelCounts[i]);
  }
  return levels;
}

void for_each_pair(const Levels& levels, const auto& visit) {
  for (std::uint8_t a = 0; a < kFactorCount; ++a) {
    for (std::uint8_t b = static_cast<std::uint8_t>(a + 1); b < kFactorCount; ++b) {
      visit(Pair{a, levels[a], b, levels[b]});
    }
  }
}

std::set<Pair> all_pairs() {
  std::set<Pair> pairs;
  for (std::uint8_t a = 0; a < kFactorCount; ++a) {
    for (std::uint8_t b = static_cast<std::uint8_t>(a + 1); b < kFactorCount; ++b) {
      for (std::uint8_t i = 0; i < kLevelCounts[a]; ++i) {
        for (std::uint8_t j = 0; j < kLevelCounts[b]; ++j) pairs.insert({a, i, b, j});
      }
    }
  }
  return pairs;
}

std::uint64_t elements_of(const Levels& levels) { return case_of(levels, 0).elements(); }

// A row that has `pair` and, of a few drawn, the most of the others that are still missing.
Levels complete(const Pair& pair, const std::set<Pair>& missing, std::mt19937_64& engine) {
  Levels best{};
  std::size_t best_gain = 0;
  for (int tries = 0; tries < kCompletions || best_gain == 0;) {
    Levels levels = random_levels(engine);
    levels[pair[0]] = pair[1];
    levels[pair[2]] = pair[3];
    if (elements_of(levels) > kMaxElements) continue;
    ++tries;
    std::size_t gain = 0;
    for_each_pair(levels, [&](const Pair& other) { gain += missing.count(other); });
    if (gain <= best_gain) continue;
    best = levels;
    best_gain = gain;
  }
  return best;
}

void add_calls_per_kernel(std::vector<MergeCase>& cases, std::mt19937_64& engine) {
  Levels fixed{};
  const auto add = [&](bool decode) {
    for (int call = 0; call < kCallsPerKernel;) {
      Levels levels = random_levels(engine);
      for (const Factor factor : {kType, kHasLse, kHeadSize}) levels[factor] = fixed[factor];
      if (fixed[kOutput] == 0) levels[kOutput] = 0;
      else levels[kOutput] = std::max<std::uint8_t>(levels[kOutput], 1);
      levels[kProgrammatic] = 0;
      const MergeCase merge = case_of(levels, engine());
      const bool fits = merge.elements() <= kMaxFillElements && merge.tokens != 0;
      if (!fits || (merge.tokens <= kLargestDecode) != decode) continue;
      cases.push_back(merge);
      ++call;
    }
  };
  for (fixed[kType] = 0; fixed[kType] < 3; ++fixed[kType]) {
    for (fixed[kOutput] = 0; fixed[kOutput] < 2; ++fixed[kOutput]) {
      for (fixed[kHasLse] = 0; fixed[kHasLse] < 2; ++fixed[kHasLse]) {
        for (fixed[kHeadSize] = 0; fixed[kHeadSize] < kHeadSizes.size(); ++fixed[kHeadSize]) {
          add(true);
          add(false);
        }
      }
    }
  }
}

MergeCase large(DType type, std::uint32_t tokens, std::uint32_t heads, std::uint64_t seed) {
  MergeCase merge;
  merge.type = type;
  merge.tokens = tokens;
  merge.heads = heads;
  merge.head_size = merge.input_stride = merge.output_stride = 128;
  merge.seed = seed;
  return merge;
}

}  // namespace

MergeCase case_of(const Levels& levels, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  MergeCase merge;
  merge.type = kTypes[levels[kType]];
  if (levels[kOutput] != 0) merge.scale = kScales[levels[kOutput] - 1U];
  merge.has_lse = levels[kHasLse] != 0;
  merge.programmatic = levels[kProgrammatic] != 0;
  merge.tokens = kTokenCounts[levels[kTokens]];
  merge.heads = kHeadCounts[levels[kHeads]];
  merge.head_size = kHeadSizes[levels[kHeadSize]];
  if (merge.head_size == kSmallest) merge.head_size = elements_per_pack(merge.type);
  set_context(merge, levels[kContext]);
  set_strides(merge, levels[kStrides], engine);
  merge.pattern = static_cast<LsePattern>(levels[kPattern]);
  // A row that is not written shows as a NaN; where NaNs are expected, as a number.
  if (!merge.fp8() && engine() % 2 == 0) merge.poison = std::byte{0x5A};
  merge.shifted = engine() % 2 == 0;
  merge.seed = engine();
  return merge;
}

std::set<Pair> uncovered_pairs(const std::vector<Levels>& rows) {
  std::set<Pair> missing = all_pairs();
  for (const Levels& row : rows) {
    for_each_pair(row, [&](const Pair& pair) { missing.erase(pair); });
  }
  return missing;
}

std::vector<Levels> pairwise_rows(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::set<Pair> missing = all_pairs();
  std::vector<Pair> order(missing.begin(), missing.end());
  std::shuffle(order.begin(), order.end(), engine);
  std::vector<Levels> rows;
  for (const Pair& pair : order) {
    if (missing.count(pair) == 0) continue;
    rows.push_back(complete(pair, missing, engine));
    for_each_pair(rows.back(), [&](const Pair& covered) { missing.erase(covered); });
  }
  return rows;
}

std::vector<MergeCase> plan_cases(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<MergeCase> cases;
  // The large ones first: whoever takes them works longest.
  cases.push_back(large(bf16, 4096, 32, engine()));
  cases.back().scale = 0.1F;
  cases.push_back(large(f16, 1024, 128, engine()));
  cases.back().context = 1000;
  cases.back().input_stride = 192;
  cases.push_back(large(f32, 4096, 16, engine()));
  cases.back().pattern = LsePattern::kWide;
  for (const Levels& levels : pairwise_rows(engine())) cases.push_back(case_of(levels, engine()));
  add_calls_per_kernel(cases, engine);
  return cases;
}

MergeSignature signature_of(const MergeCase& merge) {
  return {merge.type,      merge.fp8(),
          merge.group,     merge.ue8m0,
          merge.has_lse,   merge.programmatic,
          merge.head_size, merge.tokens <= kLargestDecode ? 1 : 4096};
}

std::set<MergeSignature> signatures_of(const std::vector<MergeCase>& cases) {
  std::set<MergeSignature> signatures;
  for (const MergeCase& merge : cases) {
    if (merge.rows() != 0) signatures.insert(signature_of(merge));
  }
  return signatures;
}

}  // namespace jit::test
