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
  std::vector<AttentionShape> shapes{usual_attention_shape()};
  shapes.push_back({{130, 77}, {}, 4, 1, 192, 128, true, true, true, 2});
  shapes.push_back({{64, 65}, {200, 65}, 8, 8, 64, 64, false});
  shapes.push_back({{90, 20}, {}, 4, 4, 128, 128, true, false, true});
  shapes.push_back({{150}, {}, 4, 2, 192, 128, true, false, false, 1, DType::kBF16, 8.0});
  for (const AttentionShape& shape : shapes) {
    const AttentionTrial trial(shape, seed);
    const auto exact = reference::compute_attention(trial.problem());
    const AttentionResult right = trial.attend();
    for (const AttentionFormat& format : attention_formats()) {
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
  const std::vector<reference::AttentionRow> rows{{5, 1}, {100, 0}, {301, 3}};
  const auto some = reference::compute_attention(trial.problem(), {rows});
  for (const AttentionFormat& format : attention_formats()) {
    AttentionWriting writing(trial, some, format);
    writing.write(trial.attend());
    CHECK(writing.check().first_failure == "");
    CHECK(writing.check().rows == 3);
    writing.unwrite(200, 2);
    CHECK(writing.check().first_failure == "token 200, head 2: element 0 was not written");
  }
}

TEST_CASE("the limits of the judge are those of its rules", "[kernels][attention]") {
  const AttentionTrial trial({{90, 130}}, fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  const auto failure = [&](const AttentionFormat& format, auto change) {
    AttentionWriting writing(trial, exact, format);
    writing.write(right);
    AttentionCheckOptions options;
    change(options.rules);
    return writing.check(options).first_failure;
  };
  const auto found = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  const AttentionFormat f32{DType::kF32};
  const AttentionFormat e4m3{DType::kE4M3, 0.1F};
  CHECK(failure(f32, [](auto&) {}) == "");
  CHECK(found(failure(f32, [](auto& rules) { rules.eager = 0.05; }), "beside eager code's"));
  CHECK(found(failure(f32, [](auto& rules) { rules.rms = 1e-3; }), "relative rms error is"));
  CHECK(found(failure(f32, [](auto& rules) { rules.row_rms = 3e-4; }), "the row is off by"));
  CHECK(found(failure(f32, [](auto& rules) { rules.weight_error = 2e-4; }), "element"));
  CHECK(found(failure(f32, [](auto& rules) { rules.lse_absolute = rules.lse_relative = 0; }),
              "the LSE is"));
  CHECK(found(failure(e4m3, [](auto& rules) { rules.identical = 0.99; }), "identical codes"));
  CHECK(found(failure(e4m3, [](auto& rules) { rules.identical_unquantised = 0.997; }),
              "the unquantised output's"));
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : attention_formats()) {
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
  const reference::AttentionRow wide = widest_row(trial);
  const std::vector<reference::AttentionRow> rows{{110, 3}, wide};
  const auto exact = reference::compute_attention(trial.problem(), {rows});
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : attention_formats()) {
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
  const auto exact = reference::compute_attention(trial.problem());
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : attention_formats()) {
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
  const auto rows = reference::sample_attention_rows(trial.problem(), 30, fresh_seed());
  const auto exact = reference::compute_attention(trial.problem(), {rows});
  const AttentionResult right = trial.attend();
  for (const AttentionFormat& format : attention_formats()) {
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
  const AttentionTrial trial(usual_attention_shape(), fresh_seed());
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

}  // namespace
}  // namespace jit::test
