// The check of results with a scale per group: what it accepts and what it finds.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/reference/element.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace {

using jit::reference::encode;
using jit::reference::kE4M3Format;
using jit::reference::MergeCheck;
using jit::reference::Overflow;
using jit::reference::scale_of_group;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

TEST_CASE("the reference's scales are those of the formula", "[kernels]") {
  CHECK(scale_of_group(448.0, false) == 1.0F);
  CHECK(scale_of_group(1.0, false) == 1.0F / 448.0F);
  CHECK(scale_of_group(0.0, false) == 1e-10F / 448.0F);
  CHECK(scale_of_group(static_cast<double>(kInfinity), false) ==
        std::numeric_limits<float>::max() / 448.0F);
  CHECK(scale_of_group(448.0, true) == 1.0F);
  CHECK(scale_of_group(std::nextafter(448.0, 1e9), true) == 2.0F);
  CHECK(scale_of_group(1.0, true) == 0x1p-8F);
  CHECK(scale_of_group(0.0, true) == 0x1p-42F);
  CHECK(scale_of_group(static_cast<double>(kInfinity), true) == 0x1p120F);
}

// Two tokens of one head with two groups of 64 each, fp32; the second token has no context.
struct GroupMerge {
  static constexpr std::uint32_t kTokens = 2;
  static constexpr std::uint32_t kSize = 128;
  static constexpr std::uint32_t kGroup = 64;

  explicit GroupMerge(bool ue8m0) {
    for (std::uint32_t i = 0; i < kTokens * kSize; ++i) {
      prefix.push_back(0.25F * static_cast<float>(i % 37) - 4.0F);
      const std::uint32_t group = i / kGroup;
      suffix.push_back(0.5F * static_cast<float>(i % 53) + static_cast<float>(group));
    }
    problem.input_type = jit::f32;
    problem.fp8_output = true;
    problem.num_tokens = kTokens;
    problem.num_heads = 1;
    problem.head_size = kSize;
    problem.num_context_tokens = 1;
    problem.input_head_stride = problem.output_head_stride = kSize;
    problem.group_size = kGroup;
    problem.ue8m0_scales = ue8m0;
    problem.scale_token_stride = 1;  // column-major, columns of 4
    problem.scale_group_stride = 4;
    problem.prefix_output = prefix.data();
    problem.suffix_output = suffix.data();
    problem.prefix_lse = lses.data();
    problem.suffix_lse = lses.data();
    quantise();
  }

  std::size_t place_of(std::uint32_t group) const { return group / 2 + group % 2 * 4; }

  double merged(std::uint32_t i) const {
    const auto from_suffix = static_cast<double>(suffix[i]);
    return i < kSize ? (static_cast<double>(prefix[i]) + from_suffix) / 2 : from_suffix;
  }

  void quantise() {
    for (std::uint32_t group = 0; group < 4; ++group) {
      double absmax = 0.0;
      for (std::uint32_t i = 0; i < kGroup; ++i) {
        absmax = std::fmax(absmax, std::fabs(merged(group * kGroup + i)));
      }
      scales[place_of(group)] = scale_of_group(absmax, problem.ue8m0_scales);
      quantise(group);
    }
  }
  // By the scale that is there.
  void quantise(std::uint32_t group) {
    const auto scale = static_cast<double>(scales[place_of(group)]);
    for (std::uint32_t i = group * kGroup; i < (group + 1) * kGroup; ++i) {
      codes[i] =
          static_cast<std::uint8_t>(encode(kE4M3Format, merged(i) / scale, Overflow::kSaturate));
    }
  }

  MergeCheck check() const { return check_merge(problem, codes.data(), nullptr, scales.data()); }
  bool passes() const { return check().passed(problem); }

  std::vector<float> prefix;
  std::vector<float> suffix;
  std::array<float, 2> lses{};
  jit::reference::MergeProblem problem;
  std::array<std::uint8_t, std::size_t{kTokens} * kSize> codes{};
  std::array<float, 8> scales{kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN, kNaN};
};

TEST_CASE("what is right by groups is accepted", "[kernels]") {
  for (const bool ue8m0 : {false, true}) {
    const GroupMerge merge(ue8m0);
    CHECK(merge.check().first_failure.empty());
    CHECK(merge.passes());
    CHECK(merge.check().scales == 4);
    CHECK(merge.check().identical_scales == 4);
    CHECK(merge.check().identical == 256);
  }
}

TEST_CASE("a scale of another group or rounded another way is found", "[kernels]") {
  for (const bool ue8m0 : {false, true}) {
    const GroupMerge right(ue8m0);
    for (std::uint32_t group = 0; group < 4; ++group) {
      for (const float factor : {0.5F, 2.0F, 0.999F, 1.001F, kNaN, -1.0F, 0.0F, kInfinity}) {
        GroupMerge merge = right;
        merge.problem.prefix_output = merge.prefix.data();
        merge.problem.suffix_output = merge.suffix.data();
        merge.scales[merge.place_of(group)] *= factor;
        // Codes that belong to the wrong scale do not save it.
        if (factor > 0.0F && factor < 3.0F) merge.quantise(group);
        CAPTURE(ue8m0, group, factor);
        CHECK(merge.check().wrong_scales == 1);
        CHECK_FALSE(merge.passes());
        CHECK(merge.check().first_failure.find("the scale of elements") != std::string::npos);
      }
    }
  }
}

TEST_CASE("one unit in the last place of the scale of a copy is found", "[kernels]") {
  GroupMerge merge(false);
  float& scale = merge.scales[merge.place_of(3)];
  scale = std::nextafter(scale, 0.0F);
  CHECK(merge.check().wrong_scales == 1);
}

TEST_CASE("the scale of the neighbouring group fails, whatever the codes", "[kernels]") {
  GroupMerge merge(false);
  std::swap(merge.scales[merge.place_of(0)], merge.scales[merge.place_of(1)]);
  CHECK(merge.check().wrong_scales == 2);
  merge.quantise(0);
  merge.quantise(1);
  CHECK_FALSE(merge.passes());
}

TEST_CASE("scales at another stride than said are found", "[kernels]") {
  GroupMerge merge(false);
  merge.problem.scale_token_stride = 2;
  merge.problem.scale_group_stride = 1;
  CHECK_FALSE(merge.passes());
}

TEST_CASE("codes of the neighbour's scale, two codes off or NaN are found", "[kernels]") {
  const GroupMerge right(false);
  GroupMerge merge(false);
  const float own = merge.scales[merge.place_of(2)];
  merge.scales[merge.place_of(2)] = merge.scales[merge.place_of(3)];
  merge.quantise(2);
  merge.scales[merge.place_of(2)] = own;
  CHECK(merge.check().wrong > 0);

  merge.codes = right.codes;
  merge.codes[7] = static_cast<std::uint8_t>(merge.codes[7] + 2);
  CHECK(merge.check().wrong == 1);
  merge.codes = right.codes;
  merge.codes[130] = 0x7F;
  CHECK(merge.check().wrong >= 1);
}

TEST_CASE("a group whose largest magnitude is not +-448 is found", "[kernels]") {
  GroupMerge merge(false);
  for (std::uint32_t i = 0; i < GroupMerge::kGroup; ++i) {
    if ((merge.codes[i] & 0x7FU) == 0x7EU) --merge.codes[i];
  }
  CHECK(merge.check().wrong == 1);
  CHECK(merge.check().first_failure.find("no element of the group") != std::string::npos);
}

TEST_CASE("zeros, NaNs and infinities have the scales that are documented", "[kernels]") {
  GroupMerge merge(false);
  std::fill_n(merge.suffix.begin() + 128, 64, 0.0F);
  std::fill_n(merge.codes.begin() + 128, 64, std::uint8_t{0});
  merge.scales[merge.place_of(2)] = 1e-10F / 448.0F;
  merge.suffix[192] = kNaN;
  merge.codes[192] = 0x7E;
  CHECK(merge.check().first_failure.empty());
  CHECK(merge.passes());

  merge.suffix[193] = -kInfinity;
  merge.scales[merge.place_of(3)] = std::numeric_limits<float>::max() / 448.0F;
  merge.quantise(3);
  merge.codes[192] = 0x7E;
  CHECK(merge.check().first_failure.empty());
  CHECK(merge.passes());
  merge.scales[merge.place_of(3)] = kInfinity;
  CHECK_FALSE(merge.passes());
}

}  // namespace
