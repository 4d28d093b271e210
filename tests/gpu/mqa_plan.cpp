#include "gpu/mqa_plan.hpp"

#include <algorithm>
#include <random>

namespace jit::test {
namespace {

constexpr int kCasesPerPattern = 2;
constexpr std::int64_t kMaxScores = 100'000;
constexpr std::array<std::int64_t, 14> kTokens{1,  2,  3,  4,   5,   7,   8,
                                               15, 63, 64, 127, 128, 300, 1029};
constexpr std::array<std::int64_t, 14> kKeys{1,   2,   63,  64,  65,  127,  255,
                                             256, 257, 300, 511, 513, 1024, 4095};
constexpr std::array<std::int32_t, 12> kEdges{0, 1, 3, 4, 63, 64, 65, 127, 128, 255, 256, 257};

using Engine = std::mt19937_64;

struct Range {
  std::int64_t start;
  std::int64_t end;
};

template <class Values>
auto one_of(const Values& values, Engine& engine) {
  return values[engine() % values.size()];
}

std::int64_t uniform(std::int64_t low, std::int64_t high, Engine& engine) {
  return std::uniform_int_distribution<std::int64_t>(low, std::max(low, high))(engine);
}

// No keys: at an end, at any place, ends before starts, all of it beyond the keys or before them.
Range empty_range(std::int64_t keys, Engine& engine) {
  const std::int64_t at = uniform(0, keys, engine);
  switch (engine() % 5) {
    case 0: return {0, 0};
    case 1: return {at, at};
    case 2: return {at, at / 2};
    case 3: return {keys + 5, keys + 100};
    default: return {-100, -5};
  }
}

Range range_of(const MqaCase& mqa, RangePattern pattern, std::int64_t row, Engine& engine) {
  const std::int64_t keys = mqa.keys;
  const std::int64_t a = uniform(0, keys, engine);
  const std::int64_t b = uniform(0, keys, engine);
  const Range any{std::min(a, b), std::max(a, b)};
  switch (pattern) {
    case RangePattern::kCausal: return {0, (row + 1) * keys / mqa.tokens};
    case RangePattern::kWindows: {
      const std::int64_t first = row * keys / mqa.tokens;
      return {first / 2, std::min(keys, first + keys / 4 + 1)};
    }
    case RangePattern::kAny: return any;
    case RangePattern::kEdges: {
      const std::int64_t start = one_of(kEdges, engine);
      return {start, start + one_of(kEdges, engine)};
    }
    case RangePattern::kEmpty: return engine() % 4 == 0 ? any : empty_range(keys, engine);
    case RangePattern::kAllEmpty: return empty_range(keys, engine);
    case RangePattern::kOutOfRange:
      return {a - uniform(0, 1 << 30, engine) * (engine() % 2 == 0 ? 1 : 0),
              b + uniform(0, 1 << 30, engine) * (engine() % 2 == 0 ? 1 : 0)};
    case RangePattern::kScattered: break;
  }
  return {a, std::min(keys, a + uniform(1, 40, engine))};
}

std::int64_t widest(const MqaCase& mqa) {
  std::int64_t width = 1;
  for (std::size_t row = 0; row < mqa.starts.size(); ++row) {
    const std::int64_t begin = std::clamp<std::int64_t>(mqa.starts[row], 0, mqa.keys);
    const std::int64_t end = std::clamp<std::int64_t>(mqa.ends[row], 0, mqa.keys);
    width = std::max(width, end - begin);
  }
  return width;
}

// Wide enough or not: columns beyond a row's width are dropped.
std::int64_t draw_width(const MqaCase& mqa, Engine& engine) {
  const std::int64_t enough = mqa.compressed ? widest(mqa) : mqa.keys;
  switch (engine() % 4) {
    case 0: return 0;
    case 1: return enough;
    case 2: return enough + uniform(1, 300, engine);
    default: return uniform(1, enough, engine);
  }
}

void draw_rest(MqaCase& mqa, Engine& engine) {
  mqa.seed = engine();
  mqa.type = engine() % 2 == 0 ? f32 : bf16;
  mqa.clean = engine() % 2 == 0;
  mqa.compressed = engine() % 2 == 0;
  mqa.programmatic = engine() % 4 != 0;
  do {
    mqa.tokens = one_of(kTokens, engine);
    mqa.keys = one_of(kKeys, engine);
  } while (mqa.tokens * mqa.keys > kMaxScores);
  mqa.workers = one_of(std::array<std::int64_t, 6>{0, 0, 1, 3, 131, 132}, engine);
  mqa.row_padding = one_of(std::array<std::int64_t, 4>{0, 1, 8, 300}, engine);
  mqa.scales = static_cast<ScalePattern>(engine() % 4 % 3);
  mqa.weights = static_cast<WeightPattern>(engine() % 4 % 3);
  mqa.poison = engine() % 2 == 0 ? std::byte{0xFF} : std::byte{0x5A};
}

}  // namespace

MqaSignature signature_of(const MqaCase& mqa) {
  return {mqa.num_heads, mqa.head_dim, mqa.type, mqa.compressed, mqa.clean, mqa.programmatic};
}

std::set<MqaSignature> signatures_of(const std::vector<MqaCase>& cases) {
  std::set<MqaSignature> signatures;
  for (const MqaCase& mqa : cases) signatures.insert(signature_of(mqa));
  return signatures;
}

std::array<Constant, 6> constants_of(const MqaSignature& signature) {
  return {{{"kNumHeads", signature.num_heads},
           {"kHeadDim", signature.head_dim},
           {"LOGITS_TYPE", signature.type},
           {"COMPRESSED_LOGITS", signature.compressed},
           {"CLEAN_LOGITS", signature.clean},
           {"PROGRAMMATIC_DEPENDENT_LAUNCH", signature.programmatic}}};
}

void set_ranges(MqaCase& mqa, RangePattern pattern, std::uint64_t seed) {
  Engine engine(seed);
  mqa.starts.clear();
  mqa.ends.clear();
  for (std::int64_t row = 0; row < mqa.tokens; ++row) {
    const Range range = range_of(mqa, pattern, row, engine);
    mqa.starts.push_back(static_cast<std::int32_t>(range.start));
    mqa.ends.push_back(static_cast<std::int32_t>(range.end));
  }
}

std::vector<MqaCase> plan_mqa_cases(std::uint64_t seed) {
  Engine engine(seed);
  std::vector<MqaCase> cases;
  for (const std::int64_t heads : {16, 32, 64}) {
    for (const std::int64_t dim : {32, 64, 128}) {
      for (std::uint8_t i = 0; i < kRangePatterns * kCasesPerPattern; ++i) {
        MqaCase mqa;
        mqa.num_heads = heads;
        mqa.head_dim = dim;
        draw_rest(mqa, engine);
        set_ranges(mqa, static_cast<RangePattern>(i % kRangePatterns), engine());
        mqa.width = draw_width(mqa, engine);
        cases.push_back(mqa);
      }
    }
  }
  return cases;
}

}  // namespace jit::test
