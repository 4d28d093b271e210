// The judge of attention finds attention that is done otherwise, scales of groups that are wrong
// and parts that were joined.
#include "kernels/reference/attention_judge.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <random>
#include <string>

#include "kernels/attention_written.hpp"

namespace jit::test {
namespace {

using reference::AttentionCheck;
using reference::AttentionCheckOptions;

std::uint64_t fresh_seed() { return std::random_device{}(); }

// ---- Attention done otherwise ----

struct Slip {
  std::string name;
  AttentionSlip slip;
  bool same_lse = false;
};

std::vector<Slip> slips() {
  const auto sees = [](auto function) {
    AttentionSlip slip;
    slip.sees = function;
    return slip;
  };
  const auto masked = [](std::int64_t i, std::int64_t j, std::int64_t q, std::int64_t k) {
    return j - (k - q) <= i;
  };
  std::vector<Slip> slips;
  slips.push_back({"a key too few",
                   sees([=](auto i, auto j, auto q, auto k) { return masked(i - 1, j, q, k); })});
  slips.push_back({"a key too many",
                   sees([=](auto i, auto j, auto q, auto k) { return masked(i + 1, j, q, k); })});
  slips.push_back({"a key too few in late rows", sees([=](auto i, auto j, auto q, auto k) {
                     return masked(i >= 100 ? i - 1 : i, j, q, k);
                   })});
  slips.push_back({"top-left alignment", sees([](auto i, auto j, auto, auto) { return j <= i; })});
  slips.push_back({"no mask", sees([](auto, auto, auto, auto) { return true; })});
  slips.push_back({"one key missing", sees([=](auto i, auto j, auto q, auto k) {
                     return masked(i, j, q, k) && j != 77;
                   })});
  slips.push_back({"no last tile", sees([=](auto i, auto j, auto q, auto k) {
                     return masked(i, j, q, k) && (j < 128 || k % 128 == 0);
                   })});
  AttentionSlip scale;
  scale.scale_factor = 1.01;
  slips.push_back({"the scale of the softmax off", scale});
  AttentionSlip head;
  head.value_head = 1;
  slips.push_back({"values of the neighbouring head", head, true});
  AttentionSlip eager;
  eager.eager = true;
  slips.push_back({"scores and weights rounded eagerly", eager, true});
  return slips;
}

TEST_CASE("attention done otherwise is found in every format", "[kernels][attention]") {
  const std::uint64_t seed = fresh_seed();
  const AttentionTrial trial(usual_attention_shape(), seed);
  const auto exact = reference::compute_attention(trial.problem());
  for (const Slip& slip : slips()) {
    const AttentionResult wrong = trial.attend(slip.slip);
    for (const AttentionFormat& format : attention_formats()) {
      // Codes are coarse, and one for all differences of a scale of 10.
      if (format.scale == 10.0F) continue;
      AttentionWriting writing(trial, exact, format);
      writing.write(wrong);
      if (format.type == DType::kBF16 && !slip.same_lse) CHECK(writing.check().wrong_lse > 0);
      writing.forget_lse();
      const AttentionCheck check = writing.check();
      CAPTURE(seed, slip.name, name_of(format.type), format.scale, format.group, check.text());
      // One hundredth of the scale moves no code of some formats; LSEs show it.
      if (slip.slip.scale_factor == 1.0) CHECK_FALSE(check.passed());
    }
  }
}

TEST_CASE("a second rounding through bf16 is found", "[kernels][attention]") {
  const std::uint64_t seed = fresh_seed();
  const AttentionTrial trial(usual_attention_shape(), seed);
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (AttentionFormat format : attention_formats()) {
    if (format.type != DType::kE4M3) continue;
    format.through_bf16 = true;
    AttentionWriting writing(trial, exact, format);
    writing.write(right);
    const AttentionCheck check = writing.check();
    CAPTURE(seed, format.scale, format.group, check.text());
    CHECK_FALSE(check.passed());
    CHECK(check.identical_unquantised >= check.elements * 99 / 100);
    AttentionCheckOptions lenient;
    lenient.rules.statistics = false;
    CHECK(writing.check(lenient).wrong_rows == 0);
  }
}

// ---- Groups ----

TEST_CASE("wrong scales of groups are found", "[kernels][attention]") {
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (const bool ue8m0 : {false, true}) {
    AttentionWriting clean(trial, exact, {DType::kE4M3, 0, 64, ue8m0});
    clean.write(right);
    AttentionWriting writing = clean;
    CHECK(writing.check().scales == 316 * 4 * 2);
    // A row of one key.
    float& scale = writing.scale({3, 1}, 1);
    scale = std::nextafter(scale, 0.0F);
    CHECK(writing.check().wrong_scales == 1);
    for (const float factor : {0.25F, 4.0F, 1.1F, 0.9F, -1.0F, 0.0F}) {
      writing = clean;
      writing.scale({200, 1}, 0) *= factor;
      CAPTURE(ue8m0, factor);
      CHECK_FALSE(writing.check().passed());
    }
    writing = clean;
    std::swap(writing.scale({3, 1}, 0), writing.scale({300, 1}, 0));
    CHECK(writing.check().wrong_scales == 2);
    // A group's largest code and, with it, that the group has one.
    writing = clean;
    if (!ue8m0) {
      writing.change_largest_codes({200, 1}, 64);
      CHECK(writing.check().wrong >= 2);
    }
    // All scales a little too large, codes that go with them.
    AttentionFormat larger{DType::kE4M3, 0, 64, ue8m0};
    larger.scale_factor = ue8m0 ? 2.0 : 1.006;
    writing.rewrite(right, larger);
    CHECK_FALSE(writing.check().passed());
    // No power of two, even where its neighbours are both right.
    larger.scale_factor = 1.5;
    writing.rewrite(right, larger);
    CHECK(writing.check().wrong_scales == writing.check().scales);
  }
}

TEST_CASE("scales of groups that are all a little too large are found", "[kernels][attention]") {
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
  std::vector<reference::AttentionRow> rows;
  for (std::int64_t token = 90; token < 172; ++token) {
    for (std::int64_t head = 0; head < 4; ++head) rows.push_back({token, head});
  }
  const auto exact = reference::compute_attention(trial.problem(), {rows});
  AttentionWriting writing(trial, exact, {DType::kE4M3, 0, 64});
  AttentionFormat larger{DType::kE4M3, 0, 64};
  larger.scale_factor = 1.0035;
  writing.rewrite(trial.attend(), larger);
  const AttentionCheck check = writing.check();
  CAPTURE(check.text());
  CHECK_FALSE(check.passed());
  if (check.wrong_scales != 0) return;
  CHECK(check.first_failure.find("rms error of the groups' scales") != std::string::npos);
}

// ---- Parts ----

TEST_CASE("parts that were rounded one by one have rules of their own", "[kernels][attention]") {
  const std::uint64_t seed = fresh_seed();
  AttentionShape shape{{30, 13}, {230, 200}, 4, 2};
  const AttentionTrial trial(shape, seed);
  const auto exact = reference::compute_attention(trial.problem());
  for (const std::int64_t chunks : {1, 2, 7}) {
    AttentionWriting writing(trial, exact, {DType::kBF16});
    writing.write(joined_in_parts(trial, chunks));
    AttentionCheckOptions options;
    options.rules = reference::rules_of_joined_parts(static_cast<std::size_t>(chunks));
    const AttentionCheck check = writing.check(options);
    CAPTURE(seed, chunks, check.text());
    CHECK(check.passed());
    if (chunks == 7) CHECK_FALSE(writing.check().passed());
  }
}

}  // namespace
}  // namespace jit::test
