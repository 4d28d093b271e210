// The judge of attention: right results of every format pass, every kind of wrong one is found.
#include "kernels/reference/attention_judge.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "kernels/attention_written.hpp"

namespace jit::test {
namespace {

using reference::AttentionCheck;
using reference::AttentionCheckOptions;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::uint64_t fresh_seed() { return std::random_device{}(); }

// Queries 0 to 3 of the last sequence see no key, query 4 and the first of the others one.
AttentionShape usual_shape() { return {{1, 40, 129, 0, 140, 6}, {1, 40, 129, 0, 140, 2}}; }

std::vector<AttentionFormat> formats() {
  return {{DType::kBF16},        {DType::kF16},         {DType::kF32},
          {DType::kE4M3, 0.1F},  {DType::kE4M3, 1e-3F}, {DType::kE4M3, 0.125F},
          {DType::kE4M3, 10.0F}, {DType::kE4M3, 0, 64}, {DType::kE4M3, 0, 128, true}};
}

// Scales and a neighbour of each that brings a value of bf16 to the other side of a tie. (The
// neighbour above 0.1 does not: no code of a row of one key differs.)
struct Neighbours {
  float scale;
  float other;
};
std::vector<Neighbours> neighbours() {
  return {{0.1F, std::nextafter(0.1F, 0.0F)},
          {0.125F, std::nextafter(0.125F, 0.0F)},
          {0.125F, std::nextafter(0.125F, 1.0F)}};
}

TEST_CASE("right results of attention pass", "[kernels][attention]") {
  const std::uint64_t seed = fresh_seed();
  std::vector<AttentionShape> shapes{usual_shape()};
  shapes.push_back({{130, 77}, {}, 4, 1, 192, 128, true, true, true, 2});
  shapes.push_back({{64, 65}, {200, 65}, 8, 8, 64, 64, false});
  shapes.push_back({{90, 20}, {}, 4, 4, 128, 128, true, false, true});
  shapes.push_back({{150}, {}, 4, 2, 192, 128, true, false, false, 1, DType::kBF16, 8.0});
  for (const AttentionShape& shape : shapes) {
    const AttentionTrial trial(shape, seed);
    const auto exact = reference::compute_attention(trial.problem());
    const AttentionResult right = trial.attend();
    for (const AttentionFormat& format : formats()) {
      if (format.group > shape.dim_v) continue;
      AttentionWriting writing(trial, exact, format);
      writing.write(right);
      const AttentionCheck check = writing.check();
      CAPTURE(seed, shape.queries, name_of(format.type), format.scale, check.text());
      CHECK(check.first_failure == "");
      CHECK(check.elements == check.rows * static_cast<std::uint64_t>(shape.dim_v));
      CHECK(check.worst_error <= 1.0);
    }
  }
}

TEST_CASE("some rows are judged alone, and of the others whether they were written",
          "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const std::vector<reference::AttentionRow> rows{{5, 1}, {100, 0}, {301, 3}};
  const auto some = reference::compute_attention(trial.problem(), {rows});
  for (const AttentionFormat& format : formats()) {
    AttentionWriting writing(trial, some, format);
    writing.write(trial.attend());
    CHECK(writing.check().first_failure == "");
    CHECK(writing.check().rows == 3);
    writing.unwrite(200, 2);
    CHECK(writing.check().first_failure == "token 200, head 2: element 0 was not written");
  }
}

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
  const AttentionTrial trial(usual_shape(), seed);
  const auto exact = reference::compute_attention(trial.problem());
  for (const Slip& slip : slips()) {
    const AttentionResult wrong = trial.attend(slip.slip);
    for (const AttentionFormat& format : formats()) {
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
  const AttentionTrial trial(usual_shape(), seed);
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (AttentionFormat format : formats()) {
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

// ---- One scale for all ----

TEST_CASE("a scale off by one unit in the last place is found by rows of one key",
          "[kernels][attention]") {
  const AttentionTrial trial({std::vector<std::int64_t>(40, 1), {}, 8, 8}, fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (const Neighbours& pair : neighbours()) {
    const AttentionFormat format{DType::kE4M3, pair.scale};
    AttentionWriting writing(trial, exact, format);
    writing.write(right);
    CHECK(writing.check().passed());
    CHECK(writing.check().identical == writing.check().elements);
    writing.rewrite(right, {DType::kE4M3, pair.other});
    CAPTURE(pair.scale, pair.other);
    CHECK(writing.check().wrong > 0);
  }
}

TEST_CASE("a division in place of the multiplication is found by rows of one key",
          "[kernels][attention]") {
  const AttentionTrial trial({std::vector<std::int64_t>(40, 1), {}, 8, 8}, fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  // Of this scale one mantissa of bf16 in 128 becomes a tie, of most none does.
  AttentionFormat format{DType::kE4M3, 0.03F};
  AttentionWriting writing(trial, exact, format);
  format.divides = true;
  writing.rewrite(trial.attend(), format);
  CHECK(writing.check().wrong > 0);
}

TEST_CASE("wrong codes of saturated values, of signs and of NaN are found",
          "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  AttentionWriting right(trial, exact, {DType::kE4M3, 1e-3F});
  right.write(trial.attend());
  const auto saturated = [](std::uint8_t code) { return (code & 0x7FU) == 0x7EU; };
  REQUIRE(std::count_if(right.codes().begin(), right.codes().end(), saturated) > 100);
  const auto first = std::find_if(right.codes().begin(), right.codes().end(), saturated);
  const std::ptrdiff_t at = first - right.codes().begin();
  for (const unsigned change : {0x03U, 0x80U, 0x01U, 0x81U}) {
    AttentionWriting writing = right;
    std::uint8_t& code = writing.codes()[static_cast<std::size_t>(at)];
    code = static_cast<std::uint8_t>(code ^ change);
    const AttentionCheck check = writing.check();
    CAPTURE(change, check.text());
    CHECK(check.wrong >= 1);
    CHECK(check.nan_codes == ((change & 1U) != 0 && change != 3 ? 1 : 0));
    CHECK(writing.check().first_failure.rfind("token ", 0) == 0);
  }
}

TEST_CASE("codes further than a step from those of the unquantised output are found",
          "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  AttentionWriting writing(trial, exact, {DType::kE4M3, 0.1F});
  writing.write(trial.attend());
  CHECK(writing.check().passed());
  writing.double_unquantised(40, 2);
  const AttentionCheck check = writing.check();
  CHECK(check.wrong > 60);
  CHECK(check.first_failure.find("unquantised") != std::string::npos);
}

// ---- Rows and elements ----

TEST_CASE("a shifted row, one of another head and a NaN are found", "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : formats()) {
    CAPTURE(name_of(format.type), format.scale, format.group);
    AttentionWriting clean(trial, exact, format);
    clean.write(right);
    AttentionWriting writing = clean;
    writing.copy_row({250, 1}, {249, 1});
    CHECK_FALSE(writing.check().passed());
    CHECK(writing.check().first_failure.find("token 249, head 1") == 0);
    writing = clean;
    writing.copy_row({250, 1}, {250, 2});
    CHECK(writing.check().first_failure.find("token 250, head 2") == 0);
    writing = clean;
    writing.put_nan({100, 3}, 17);
    CHECK(writing.check().wrong + writing.check().nan_codes >= 1);
    CHECK(writing.check().first_failure.find("token 100, head 3") == 0);
  }
}

// The first element of a row that lies well within what every format holds.
std::size_t usual_element(const reference::AttentionReference& exact, std::size_t row) {
  std::size_t i = row * 128;
  while (std::fabs(exact.output[i]) < 0.05 || std::fabs(exact.output[i]) > 0.25) ++i;
  return i;
}

// The row of many keys that none of them decides: what it is off by is little beside sum p|v|.
reference::AttentionRow widest_row(const AttentionTrial& trial) {
  std::vector<reference::AttentionRow> rows;
  for (std::int64_t token = 150; token < 172; ++token) {
    for (std::int64_t head = 0; head < 4; ++head) rows.push_back({token, head});
  }
  const auto exact = reference::compute_attention(trial.problem(), {rows});
  return rows[static_cast<std::size_t>(std::min_element(exact.spread.begin(), exact.spread.end()) -
                                       exact.spread.begin())];
}

TEST_CASE("one element beyond its bound and a row that is off as a whole are found",
          "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const reference::AttentionRow wide = widest_row(trial);
  const std::vector<reference::AttentionRow> rows{{110, 3}, wide};
  const auto exact = reference::compute_attention(trial.problem(), {rows});
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : formats()) {
    if (format.scale == 10.0F) continue;
    CAPTURE(name_of(format.type), format.scale, format.group);
    AttentionWriting writing(trial, exact, format);
    AttentionResult wrong = right;
    const std::size_t i = usual_element(exact, 0);
    double& element = wrong.output[(110 * 4 + 3) * 128 + i % 128];
    const bool codes = format.type == DType::kE4M3;
    element += 1.5 * 0x1p-8 * exact.magnitude[i] + (codes ? 0.2 : 0.02) * std::fabs(element);
    writing.write(wrong);
    CHECK(writing.check().wrong == 1);
    CHECK(writing.check().first_failure.find("token 110, head 3: element ") == 0);
    wrong = right;
    for (std::size_t d = 0; d < 128; ++d) {
      wrong.output[static_cast<std::size_t>(wide.token * 4 + wide.head) * 128 + d] *=
          codes ? 1.08 : 1.015;
    }
    writing.write(wrong);
    // The scales of groups go along.
    if (format.group == 0) CHECK(writing.check().wrong_rows == 1);
    if (format.group != 0) CHECK_FALSE(writing.check().passed());
  }
}

TEST_CASE("rows of one key are judged bit by bit, rows of none are 0", "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : formats()) {
    CAPTURE(name_of(format.type), format.scale, format.group);
    AttentionWriting clean(trial, exact, format);
    clean.write(right);
    REQUIRE(clean.check().passed());
    for (const reference::AttentionRow row : {reference::AttentionRow{3, 0}, {4, 2}, {317, 1}}) {
      AttentionWriting writing = clean;
      writing.change_code(row, 31);
      // It may have been the one of its group that is +-448.
      CHECK(writing.check().wrong >= 1);
      CHECK(writing.check().wrong <= 2);
    }
    AttentionWriting writing = clean;
    writing.change_code({314, 1}, 5);
    CHECK(writing.check().wrong == 1);
  }
}

TEST_CASE("what was not written and what should not have been is found", "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const auto rows = reference::sample_attention_rows(trial.problem(), 30, fresh_seed());
  const auto exact = reference::compute_attention(trial.problem(), {rows});
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : formats()) {
    CAPTURE(name_of(format.type), format.scale, format.group);
    AttentionWriting clean(trial, exact, format);
    clean.write(right);
    AttentionWriting writing = clean;
    writing.unwrite(77, 3);
    CHECK(writing.check().wrong >= 128);
    for (const std::int64_t token : {0, 2, 319, 320}) {
      writing = clean;
      writing.touch({token, 1}, 100);
      CHECK(writing.check().wrong == 1);
      CHECK(writing.check().first_failure.find("no sequence") != std::string::npos);
    }
    writing = clean;
    writing.touch({50, 2}, 128);  // the gap behind the head
    CHECK(writing.check().wrong == 1);
    AttentionCheckOptions unpoisoned;
    unpoisoned.poisoned = false;
    CHECK(writing.check(unpoisoned).passed());
  }
}

TEST_CASE("wrong LSEs are found", "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
  const std::vector<reference::AttentionRow> rows{{60, 1}, {300, 2}, {315, 0}};
  const auto exact = reference::compute_attention(trial.problem(), {rows});
  AttentionWriting right(trial, exact, {DType::kBF16});
  right.write(trial.attend());
  const auto with = [&](const reference::AttentionRow& row, double value) {
    AttentionWriting writing = right;
    writing.lse(row) = static_cast<float>(value);
    return writing.check();
  };
  const double lse = static_cast<double>(right.lse({300, 2}));
  CHECK(with({300, 2}, lse + 5e-5).passed());
  CHECK(with({300, 2}, lse + 3e-4).wrong_lse == 1);
  CHECK(with({300, 2}, lse - 3e-4).wrong_lse == 1);
  CHECK(with({300, 2}, lse * std::log2(std::exp(1.0))).wrong_lse == 1);
  CHECK(with({300, 2}, std::nan("")).wrong_lse == 1);
  CHECK(with({300, 2}, -kInfinity).wrong_lse == 1);
  REQUIRE(right.lse({315, 0}) == -std::numeric_limits<float>::infinity());
  CHECK(with({315, 0}, 0.0).wrong_lse == 1);
  CHECK(with({315, 0}, -1e30).wrong_lse == 1);
  CHECK(with({315, 0}, kInfinity).wrong_lse == 1);
  CHECK(with({2, 0}, 1.0).wrong == 1);
  CHECK(with({320, 3}, 1.0).wrong == 1);
  AttentionWriting unwritten = right;
  unwritten.forget_lse({60, 1});
  CHECK(unwritten.check().wrong_lse == 1);
  CHECK(unwritten.check().wrong == 1);
}

// ---- Groups ----

TEST_CASE("wrong scales of groups are found", "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
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
  }
}

TEST_CASE("scales of groups that are all a little too large are found", "[kernels][attention]") {
  const AttentionTrial trial(usual_shape(), fresh_seed());
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
