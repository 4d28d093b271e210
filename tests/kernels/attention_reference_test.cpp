// The float64 reference of attention against attention as it is written down.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>
#include <numeric>
#include <random>
#include <set>

#include "jit/error.hpp"
#include "kernels/attention_trial.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/multiply.hpp"
#include "kernels/reference/parallel.hpp"
#include "kernels/reference/rounding.hpp"

namespace jit::test {
namespace {

using reference::AttentionOptions;
using reference::AttentionProblem;
using reference::AttentionReference;
using reference::AttentionRow;
using reference::compute_attention;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::uint64_t fresh_seed() { return std::random_device{}(); }

std::vector<AttentionShape> shapes() {
  std::vector<AttentionShape> shapes;
  shapes.push_back({{1, 70, 0, 33}});
  shapes.push_back({{5, 66}, {40, 130}});                        // keys before the queries
  shapes.push_back({{40, 7, 3}, {9, 0, 3}});                     // queries that see nothing
  shapes.push_back({{17, 3}, {70, 65}, 4, 4, 128, 128, false});  // contexts
  shapes.push_back({{65, 2}, {}, 6, 1, 64, 64});
  shapes.push_back({{30, 41}, {}, 4, 2, 192, 128, true, true});
  shapes.push_back({{30, 41}, {35, 99}, 4, 4, 192, 128, true, true, true});
  shapes.push_back({{9, 20, 0}, {90, 77, 5}, 2, 2, 192, 128, true, true, true, 3});
  shapes.push_back({{64, 12}, {}, 2, 1, 64, 64, true, false, true, 1, DType::kF16});
  shapes.push_back({{64, 12}, {}, 2, 1, 128, 128, false, false, true, 2, DType::kE4M3});
  shapes.push_back({{50}, {}, 2, 2, 192, 128, true, false, false, 1, DType::kBF16, 8.0, 0.11F});
  return shapes;
}

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0.0;
  return std::fabs(a - b);
}

// The largest difference of what the reference has of its rows and the trial of all.
struct Differences {
  double output = 0.0;
  double magnitude = 0.0;
  double lse = 0.0;
  double spread = 0.0;
  double eager = 0.0;
  double eager_others = 0.0;  // share of elements
  double fused = 0.0;
};

std::size_t row_in(const AttentionTrial& trial, const AttentionRow& row) {
  return static_cast<std::size_t>(row.token * trial.shape().heads + row.head);
}
std::size_t lse_in(const AttentionTrial& trial, const AttentionRow& row) {
  return static_cast<std::size_t>(row.head * trial.tokens() + row.token);
}

double rows_differ(const AttentionTrial& trial, const AttentionReference& found,
                   const std::vector<double>& values, const std::vector<double>& expected) {
  const auto elements = static_cast<std::size_t>(found.head_dim_v);
  double worst = 0.0;
  for (std::size_t row = 0; row < found.rows.size(); ++row) {
    for (std::size_t i = 0; i < elements; ++i) {
      const double other = expected[row_in(trial, found.rows[row]) * elements + i];
      worst = std::max(worst, distance(values[row * elements + i], other));
    }
  }
  return worst;
}

double share_of_others(const AttentionTrial& trial, const AttentionReference& found,
                       const std::vector<double>& values, const std::vector<double>& expected) {
  const auto elements = static_cast<std::size_t>(found.head_dim_v);
  std::size_t others = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::size_t row = row_in(trial, found.rows[i / elements]);
    if (values[i] != expected[row * elements + i % elements]) ++others;
  }
  return static_cast<double>(others) / static_cast<double>(values.size());
}

Differences differences(const AttentionTrial& trial, const AttentionReference& found) {
  AttentionSlip exact;
  exact.exact_weights = true;
  AttentionSlip eager;
  eager.eager = true;
  const AttentionResult expected = trial.attend(exact);
  Differences worst;
  worst.output = rows_differ(trial, found, found.output, expected.output);
  worst.magnitude = rows_differ(trial, found, found.magnitude, expected.magnitude);
  worst.fused = rows_differ(trial, found, found.fused, trial.attend().output);
  const AttentionResult eagerly = trial.attend(eager);
  worst.eager = rows_differ(trial, found, found.eager, eagerly.output);
  worst.eager_others = share_of_others(trial, found, found.eager, eagerly.output);
  for (std::size_t row = 0; row < found.rows.size(); ++row) {
    const std::size_t at = lse_in(trial, found.rows[row]);
    worst.lse = std::max(worst.lse, distance(found.lse[row], expected.lse[at]));
    worst.spread = std::max(worst.spread, distance(found.spread[row], expected.spread[at]));
  }
  return worst;
}

AttentionReference compute_all(const AttentionTrial& trial) {
  AttentionOptions options;
  options.fused = true;
  return compute_attention(trial.problem(), options);
}

TEST_CASE("the reference of attention is attention as it is written down", "[kernels][attention]") {
  const std::uint64_t seed = fresh_seed();
  for (const AttentionShape& shape : shapes()) {
    const AttentionTrial trial(shape, seed);
    const AttentionReference found = compute_all(trial);
    CAPTURE(seed, shape.queries, shape.keys, shape.dim, shape.parts);
    std::int64_t queries = 0;
    for (const std::int64_t length : shape.queries) queries += length;
    CHECK(found.rows.size() == static_cast<std::size_t>(queries * shape.heads));
    const Differences worst = differences(trial, found);
    CHECK(worst.output < 1e-13);
    CHECK(worst.magnitude < 1e-13);
    CHECK(worst.lse < 1e-12);
    CHECK(worst.spread < 1e-13);
    // A weight that lies between two values of bf16 may fall to either side.
    CHECK(worst.fused < 1e-4);
    CHECK(worst.eager < 4e-2);
    CHECK(worst.eager_others < 1e-2);
  }
}

TEST_CASE("rows are counted by the keys that they see", "[kernels][attention]") {
  const AttentionTrial trial({{40, 2}, {9, 12}, 1, 1, 64, 64}, fresh_seed());
  const AttentionReference found = compute_all(trial);
  REQUIRE(found.rows.size() == 42);
  CHECK(found.seen[30] == 0);
  CHECK(found.lse[30] == -kInfinity);
  CHECK(found.output[30 * 64] == 0.0);
  CHECK(found.seen[31] == 1);
  CHECK(found.spread[30] == 0.0);
  CHECK(found.seen[39] == 9);
  CHECK(found.seen[40] == 11);
  CHECK(found.seen[41] == 12);
}

TEST_CASE("some rows of the reference are those of all, whatever the threads",
          "[kernels][attention]") {
  const AttentionTrial trial({{33, 100, 7}}, fresh_seed());
  const AttentionProblem problem = trial.problem();
  const AttentionReference all = compute_attention(problem, {{}, true, true, 1});
  const std::vector<AttentionRow> rows{{3, 0}, {140, 2}, {36, 1}, {35, 3}, {140, 2}, {77, 3}};
  const AttentionReference some = compute_attention(problem, {rows, true, true, 3});
  REQUIRE(some.rows == rows);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto at = static_cast<std::size_t>(std::find(all.rows.begin(), all.rows.end(), rows[i]) -
                                             all.rows.begin());
    REQUIRE(at < all.rows.size());
    CHECK(some.lse[i] == all.lse[at]);
    CHECK(some.spread[i] == all.spread[at]);
    CHECK(some.seen[i] == all.seen[at]);
    for (std::size_t d = 0; d < 128; ++d) {
      CHECK(some.output[i * 128 + d] == all.output[at * 128 + d]);
      CHECK(some.magnitude[i * 128 + d] == all.magnitude[at * 128 + d]);
      CHECK(some.eager[i * 128 + d] == all.eager[at * 128 + d]);
      CHECK(some.fused[i * 128 + d] == all.fused[at * 128 + d]);
    }
  }
}

TEST_CASE("NaN counts in rows that see it and in no other", "[kernels][attention]") {
  AttentionTrial trial({{20, 100, 30}}, fresh_seed());
  const AttentionReference before = compute_all(trial);
  trial.poison_keys(1, 50, 70);
  const AttentionReference after = compute_all(trial);
  for (std::size_t row = 0; row < before.rows.size(); ++row) {
    const std::int64_t token = before.rows[row].token - 3;
    const bool sees = token >= 70 && token < 120;
    CAPTURE(token);
    CHECK(distance(after.lse[row], sees ? kNaN : before.lse[row]) == 0.0);
    for (std::size_t d = row * 128; d < (row + 1) * 128; d += 17) {
      CHECK(distance(after.output[d], sees ? kNaN : before.output[d]) < 1e-13);
      CHECK(distance(after.fused[d], sees ? kNaN : before.fused[d]) < 1e-13);
    }
  }
}

TEST_CASE("sampled rows are different, in order, and at the edges", "[kernels][attention]") {
  const AttentionTrial trial({{1, 300, 0, 129}}, fresh_seed());
  const AttentionProblem problem = trial.problem();
  const auto rows = reference::sample_attention_rows(problem, 80, fresh_seed());
  CHECK(rows.size() == 80);
  std::set<std::int64_t> tokens;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    tokens.insert(rows[i].token);
    CHECK(rows[i].head >= 0);
    CHECK(rows[i].head < 4);
    if (i == 0) continue;
    const bool ascends = rows[i - 1].token < rows[i].token ||
                         (rows[i - 1].token == rows[i].token && rows[i - 1].head < rows[i].head);
    CHECK(ascends);
  }
  for (const std::int64_t token : {3, 4, 4 + 63, 4 + 64, 4 + 128, 4 + 256, 303, 304, 431, 432}) {
    CHECK(tokens.count(token) == 1);
  }
  CHECK(*tokens.begin() >= 3);
  CHECK(*tokens.rbegin() < 433);
  CHECK(reference::sample_attention_rows(problem, 5000, 1).size() == 430 * 4);
}

TEST_CASE("rows of no sequence and types that are not read are refused", "[kernels][attention]") {
  const AttentionTrial trial({{4, 5}}, fresh_seed());
  AttentionProblem problem = trial.problem();
  for (const AttentionRow row : {AttentionRow{2, 0}, {12, 0}, {-1, 0}, {3, 4}, {3, -1}}) {
    CHECK_THROWS_AS(compute_attention(problem, {std::span(&row, 1)}), Error);
  }
  AttentionProblem other = problem;
  other.type = DType::kF32;
  CHECK_THROWS_AS(compute_attention(other), Error);
  other = problem;
  other.head_dim_v = 124;
  CHECK_THROWS_AS(compute_attention(other), Error);
  other = problem;
  other.keys.clear();
  CHECK_THROWS_AS(compute_attention(other), Error);
}

TEST_CASE("fast codecs are the plain ones", "[kernels][attention]") {
  std::mt19937_64 random(fresh_seed());
  for (const auto& format : {reference::kF16Format, reference::kBF16Format, reference::kE4M3Format,
                             reference::kE5M2Format}) {
    const std::uint32_t codes = 2U << (format.exponent_bits + format.mantissa_bits);
    const auto check = [&](double value) {
      for (const auto overflow :
           {reference::Overflow::kToInfinity, reference::Overflow::kSaturate}) {
        const double fast = reference::round_to(format, value, overflow);
        const double plain = reference::decode(format, reference::encode(format, value, overflow));
        if (distance(fast, plain) == 0.0 && std::signbit(fast) == std::signbit(plain)) continue;
        CAPTURE(value, format.mantissa_bits);
        CHECK(fast == plain);
      }
    };
    for (std::uint32_t code = 0; code < codes; ++code) {
      const double value = reference::decode(format, code);
      if (distance(reference::value_of(format, code), value) != 0.0) {
        CHECK(reference::value_of(format, code) == value);
      }
      check(value);
      if (!std::isfinite(value)) continue;
      // The tie with the next one, and what lies beside it.
      const double tie = value + std::copysign(reference::unit_at(format, value) / 2, value);
      check(tie);
      check(std::nextafter(tie, 0.0));
      check(std::nextafter(tie, 2 * tie));
      check(value * std::ldexp(1.0, static_cast<int>(random() % 64) - 32));
    }
    for (const double value : {1e30, 1e300, -1e39, 1e-40, -1e-320, kInfinity, -kInfinity}) {
      check(value);
    }
  }
}

TEST_CASE("work on several threads reaches every item, and what an item throws its caller",
          "[kernels][attention]") {
  for (const unsigned threads : {1U, 4U}) {
    std::vector<int> calls(1000, 0);
    std::vector<int> of_worker(reference::workers_for(1000, threads), 0);
    reference::parallel_for(1000, threads, [&](std::int64_t item, unsigned worker) {
      ++calls[static_cast<std::size_t>(item)];
      ++of_worker[worker];
    });
    CHECK(std::count(calls.begin(), calls.end(), 1) == 1000);
    CHECK(std::accumulate(of_worker.begin(), of_worker.end(), 0) == 1000);

    for (const std::int64_t all_from : {std::int64_t{0}, std::int64_t{999}}) {
      const auto fail = [&](std::int64_t item, unsigned) {
        if (item >= all_from) throw std::bad_alloc();
      };
      CHECK_THROWS_AS(reference::parallel_for(1000, threads, fail), std::bad_alloc);
    }
  }
  reference::parallel_for(0, 4, [](std::int64_t, unsigned) { throw std::bad_alloc(); });
}

TEST_CASE("small matrices multiply as their elements do", "[kernels][attention]") {
  std::mt19937_64 random(fresh_seed());
  std::normal_distribution<double> normal;
  std::array<double, 12 * 40> a{};
  std::array<double, 40 * 32> b{};
  std::array<double, 12 * 32> c{};
  for (double& value : a) value = normal(random);
  for (double& value : b) value = normal(random);
  for (double& value : c) value = normal(random);
  auto expected = c;
  for (std::size_t row = 0; row < 8; ++row) {
    for (std::size_t column = 0; column < 24; ++column) {
      for (std::size_t k = 0; k < 37; ++k) {
        expected[row * 32 + column] += a[row * 40 + k] * b[k * 32 + column];
      }
    }
  }
  reference::multiply_add({8, 24, 37, a.data(), 40, b.data(), 32, c.data(), 32});
  for (std::size_t i = 0; i < c.size(); ++i) {
    const bool inside = i / 32 < 8 && i % 32 < 24;
    CHECK(distance(c[i], expected[i]) <= (inside ? 1e-13 : 0.0));
  }
}

}  // namespace
}  // namespace jit::test
