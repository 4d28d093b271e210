#include "gpu/merge_group_plan.hpp"

#include <algorithm>
#include <array>
#include <random>

namespace jit::test {
namespace {

constexpr std::array<ScaleLayout, 4> kLayouts{ScaleLayout::kRowMajor, ScaleLayout::kColumnMajor,
                                              ScaleLayout::kAlignedColumn, ScaleLayout::kWideRow};
constexpr std::array<LsePattern, 6> kPatterns{LsePattern::kOrdinary, LsePattern::kEmpty,
                                              LsePattern::kExtreme,  LsePattern::kNaN,
                                              LsePattern::kWide,     LsePattern::kGroups};
constexpr std::array<std::uint32_t, 5> kDecodeTokens{1, 2, 16, 17, 64};
constexpr std::array<std::uint32_t, 4> kPrefillTokens{65, 128, 257, 512};
constexpr std::array<std::uint32_t, 6> kHeads{1, 2, 3, 16, 64, 128};
constexpr std::array<std::uint32_t, 7> kHeadSizes{64, 128, 192, 256, 512, 576, 1024};
constexpr int kContexts = 6;
constexpr int kStrides = 4;
constexpr std::uint64_t kMaxElements = std::uint64_t{1} << 19;
constexpr std::uint32_t kCallsPerKernel = 3;

std::uint32_t context_of(std::uint32_t level, std::uint32_t tokens) {
  switch (level % kContexts) {
    case 0: return tokens / 2;
    case 1: return 0;
    case 2: return 1;
    case 3: return tokens - 1;
    case 4: return std::min(128U, tokens);
    default: return tokens;
  }
}

// The six calls of a kernel have the six patterns; the rest is drawn.
class VariedCalls {
 public:
  explicit VariedCalls(std::uint64_t seed) : engine_(seed) {}

  void add(std::vector<MergeCase>& cases, MergeCase merge, bool decode) {
    const std::uint32_t turn = turn_++;
    merge.pattern = kPatterns[turn % kPatterns.size()];
    merge.layout = kLayouts[engine_() % kLayouts.size()];
    merge.tokens = decode ? kDecodeTokens[engine_() % kDecodeTokens.size()]
                          : kPrefillTokens[engine_() % kPrefillTokens.size()];
    merge.heads = kHeads[engine_() % kHeads.size()];
    while (merge.elements() > kMaxElements && merge.heads > 1) merge.heads /= 2;
    if (engine_() % 4 != 0) {
      merge.context = context_of(static_cast<std::uint32_t>(engine_()), merge.tokens);
    }
    const std::uint32_t pack = merge.type == f32 ? 4 : 8;
    const std::uint64_t strides = engine_() % kStrides;
    merge.input_stride = merge.head_size + (strides & 1U ? pack * 5 : 0);
    merge.output_stride = merge.head_size + (strides & 2U ? pack * 3 : 0);
    merge.programmatic = merge.head_size == 128 && engine_() % 4 == 0;
    merge.shifted = engine_() % 2 == 0;
    if (engine_() % 2 == 0) merge.poison = std::byte{0x5A};
    merge.seed = engine_();
    cases.push_back(merge);
  }

 private:
  std::mt19937_64 engine_;
  std::uint32_t turn_ = 0;
};

// Takes the values of one factor after another out of a running number.
class Digits {
 public:
  explicit Digits(std::size_t number) : rest_(number) {}

  template <class T, std::size_t kCount>
  T next(const std::array<T, kCount>& values) {
    const T value = values[rest_ % kCount];
    rest_ /= kCount;
    return value;
  }
  bool is_spent() const noexcept { return rest_ == 0; }

 private:
  std::size_t rest_;
};

constexpr std::array<bool, 2> kBoth{false, true};
constexpr std::array<std::uint32_t, 2> kGroups{64, 128};

}  // namespace

std::vector<MergeCase> public_group_cases(std::uint64_t seed) {
  constexpr std::array<ScaleLayout, 3> kPublicLayouts{kLayouts[0], kLayouts[1], kLayouts[2]};
  constexpr std::array<DType, 2> kPublicTypes{f16, bf16};
  // The large ones last in the number, first in time: whoever takes them works longest.
  constexpr std::array<std::uint32_t, 3> kPublicHeads{128, 64, 16};
  constexpr std::array<std::uint32_t, 4> kPublicTokens{512, 257, 128, 16};
  std::mt19937_64 engine(seed);
  std::vector<MergeCase> cases;
  for (std::size_t number = 0;; ++number) {
    Digits digits(number);
    MergeCase merge;
    merge.layout = digits.next(kPublicLayouts);
    merge.ue8m0 = digits.next(kBoth);
    merge.group = digits.next(kGroups);
    merge.type = digits.next(kPublicTypes);
    merge.heads = digits.next(kPublicHeads);
    merge.tokens = digits.next(kPublicTokens);
    if (!digits.is_spent()) return cases;
    merge.head_size = merge.input_stride = merge.output_stride = 128;
    merge.context = merge.tokens / 2;
    merge.seed = engine();
    cases.push_back(merge);
  }
}

std::vector<MergeCase> varied_group_cases(std::uint64_t seed) {
  constexpr std::array<DType, 3> kTypes{f32, f16, bf16};
  VariedCalls calls(seed);
  std::vector<MergeCase> cases;
  for (std::size_t number = 0;; ++number) {
    Digits digits(number);
    MergeCase merge;
    merge.has_lse = digits.next(kBoth);
    merge.ue8m0 = digits.next(kBoth);
    merge.group = digits.next(kGroups);
    merge.head_size = digits.next(kHeadSizes);
    merge.type = digits.next(kTypes);
    if (!digits.is_spent()) return cases;
    if (merge.head_size % merge.group != 0) continue;
    for (std::uint32_t i = 0; i < 2 * kCallsPerKernel; ++i) calls.add(cases, merge, i % 2 == 0);
  }
}

std::vector<MergeCase> plan_group_cases(std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<MergeCase> cases = public_group_cases(engine());
  const std::vector<MergeCase> varied = varied_group_cases(engine());
  cases.insert(cases.end(), varied.begin(), varied.end());
  return cases;
}

}  // namespace jit::test
