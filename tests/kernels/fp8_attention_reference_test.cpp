// The reference of attention in 8 bits and its emulator against both as they are written down.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "jit/error.hpp"
#include "kernels/fp8_attention_trial.hpp"
#include "kernels/reference/attention_emulator.hpp"
#include "kernels/reference/tensor_core.hpp"

namespace jit::test {
namespace {

using reference::AttentionOptions;
using reference::AttentionReference;
using reference::AttentionTiling;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::uint64_t fresh_seed() { return std::random_device{}(); }

std::vector<Fp8Shape> shapes() {
  std::vector<Fp8Shape> shapes;
  shapes.push_back({{70, 1, 0}, {150, 33, 9}, 4, 2});
  shapes.push_back({{60, 20}, {90, 5}, 4, 1, 96, 96, false, 17, 3});
  shapes.push_back({{60, 20}, {90, 15}, 4, 4, 64, 64, true, 12, 40, 0.0F, 0.3F, 1});
  shapes.push_back({{40, 9}, {100, 80}, 8, 2, 192, 128, true, -1, -1, 15.0F, 0.0F, 2, 1, true});
  shapes.push_back({{9, 30}, {130, 70}, 4, 2, 64, 64, false, 100, -1, 0.0F, 0.0F, 1, 2, true, 16});
  shapes.push_back({{5, 12}, {64, 7}, 2, 2, 256, 256, true, 0, 0, 5.0F, 0.0F, 3, 2, false, 1});
  shapes.push_back({{33, 40}, {20, 3}, 2, 1, 64, 64, true, -1, -1, 0.0F, 0.0F, 1, 1, true, 7});
  return shapes;
}

double distance(double a, double b) {
  if (a == b || (std::isnan(a) && std::isnan(b))) return 0.0;
  return std::fabs(a - b);
}

AttentionOptions exactly() {
  AttentionOptions options;
  options.eager = false;
  options.floor = true;
  return options;
}

TEST_CASE("the reference of attention in 8 bits is attention as it is written down",
          "[kernels][fp8_attention]") {
  const std::uint64_t seed = fresh_seed();
  for (const Fp8Shape& shape : shapes()) {
    const Fp8Trial trial(shape, seed);
    const AttentionReference found = reference::compute_attention(trial.problem(), exactly());
    CAPTURE(seed, shape.queries, shape.keys, shape.dim, shape.page);
    std::int64_t queries = 0;
    for (const std::int64_t length : shape.queries) queries += length;
    REQUIRE(found.rows.size() == static_cast<std::size_t>(queries * shape.heads));
    double worst = 0.0;
    for (std::size_t row = 0; row < found.rows.size(); ++row) {
      const Fp8Row expected = trial.attend(found.rows[row]);
      REQUIRE(found.seen[row] == expected.seen);
      worst = std::max(worst, distance(found.lse[row], expected.lse));
      for (std::size_t d = 0; d < expected.output.size(); ++d) {
        const std::size_t i = row * expected.output.size() + d;
        worst = std::max(worst, distance(found.output[i], expected.output[d]));
        worst = std::max(worst, distance(found.magnitude[i], expected.magnitude[d]));
        worst = std::max(worst, distance(found.floor[i], expected.floor[d]) / 100);
      }
    }
    CHECK(worst < 1e-12);
  }
}

TEST_CASE("a row that sees no key is 0, and its LSE is the sink", "[kernels][fp8_attention]") {
  for (const int sinks : {0, 1, 2}) {
    Fp8Shape shape{{10}, {4}, 2, 1};
    shape.sinks = sinks;
    const Fp8Trial trial(shape, fresh_seed());
    const AttentionReference found = reference::compute_attention(trial.problem(), exactly());
    const auto emulated = reference::emulate_attention(trial.problem(), {});
    for (std::size_t row = 0; row < 12; ++row) {
      REQUIRE(found.seen[row] == 0);
      const double lse = trial.attend(found.rows[row]).lse;
      CHECK(std::isfinite(lse) == (sinks != 0));
      CHECK(distance(found.lse[row], lse) < 1e-12);
      CHECK(distance(emulated.lse[row], lse) < 1e-12);
      for (std::size_t d = 0; d < 64; ++d) {
        CHECK(found.output[row * 64 + d] == 0.0);
        CHECK(emulated.output[row * 64 + d] == 0.0);
      }
    }
  }
}

TEST_CASE("parts of the keys join to all of them, with one sink", "[kernels][fp8_attention]") {
  for (const int sinks : {0, 2}) {
    Fp8Shape shape{{50}, {230}, 4, 2, 64, 64, true, 120, -1};
    shape.sinks = sinks;
    const Fp8Trial trial(shape, fresh_seed());
    const reference::AttentionProblem problem = trial.problem();
    const AttentionReference all = reference::compute_attention(problem, exactly());
    std::vector<AttentionReference> parts;
    for (const std::int64_t begin : {0, 64, 128}) {
      AttentionOptions options = exactly();
      options.keys = {begin, begin == 128 ? 230 : begin + 64};
      parts.push_back(reference::compute_attention(problem, options));
    }
    for (std::size_t row = 0; row < all.rows.size(); ++row) {
      double sum = 0.0;
      std::int64_t seen = 0;
      std::vector<double> output(64, 0.0);
      for (const AttentionReference& part : parts) {
        const double weight = std::exp(part.lse[row] - all.lse[row]);
        sum += weight;
        seen += part.seen[row];
        for (std::size_t d = 0; d < 64; ++d) output[d] += weight * part.output[row * 64 + d];
      }
      CHECK(distance(sum, 1.0) < 1e-12);
      CHECK(seen == all.seen[row]);
      for (std::size_t d = 0; d < 64; ++d) {
        if (distance(output[d], all.output[row * 64 + d]) > 1e-12) CHECK(false);
      }
    }
  }
}

TEST_CASE("sampled rows are those of used lengths, and whatever is computed beside them the same",
          "[kernels][fp8_attention]") {
  Fp8Shape shape{{70, 3, 20}, {150, 33, 9}, 4, 2};
  shape.used = true;
  shape.left = 40;
  const Fp8Trial trial(shape, fresh_seed());
  const reference::AttentionProblem problem = trial.problem();
  const auto rows = reference::sample_attention_rows(problem, 60, fresh_seed());
  CHECK(rows.size() == 60);
  const AttentionReference all = reference::compute_attention(problem, exactly());
  AttentionOptions options = exactly();
  options.rows = rows;
  const AttentionReference some = reference::compute_attention(problem, options);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto found = std::find(all.rows.begin(), all.rows.end(), rows[i]);
    REQUIRE(found != all.rows.end());
    const auto row = static_cast<std::size_t>(found - all.rows.begin());
    CHECK(some.lse[i] == all.lse[row]);
    CHECK(std::equal(&some.output[i * 64], &some.output[i * 64] + 64, &all.output[row * 64]));
  }
  const reference::AttentionRow beyond{2 + 70, 0};
  options.rows = {&beyond, 1};
  CHECK_THROWS_AS(reference::compute_attention(problem, options), Error);
}

// ---- The emulator ----

TEST_CASE("the emulator's tiles are tiles as they are written down", "[kernels][fp8_attention]") {
  const std::uint64_t seed = fresh_seed();
  for (const Fp8Shape& shape : shapes()) {
    const Fp8Trial trial(shape, seed);
    for (const std::int64_t block : {32, 64, 96}) {
      AttentionTiling tiling;
      tiling.block_n = block;
      const auto found = reference::emulate_attention(trial.problem(), tiling);
      Fp8Slip tiles;
      tiles.block = block;
      std::size_t others = 0;
      double worst = 0.0;
      for (std::size_t row = 0; row < found.rows.size(); ++row) {
        const Fp8Row expected = trial.attend(found.rows[row], tiles);
        worst = std::max(worst, distance(found.lse[row], expected.lse));
        for (std::size_t d = 0; d < expected.output.size(); ++d) {
          const double other = found.output[row * expected.output.size() + d];
          if (distance(other, expected.output[d]) > 1e-12) ++others;
        }
      }
      CAPTURE(seed, block, shape.queries, shape.keys, shape.dim);
      CHECK(worst < 1e-12);
      // A weight that lies between two values of e4m3 may fall to either side.
      CHECK(others <= found.output.size() / 100);
    }
  }
}

TEST_CASE("an interval changes nothing where nothing is cut off, a split little",
          "[kernels][fp8_attention]") {
  const Fp8Trial trial({{40}, {500}, 2, 1, 64, 64, true, 300}, fresh_seed());
  AttentionTiling tiling;
  tiling.block_n = 64;
  const auto usual = reference::emulate_attention(trial.problem(), tiling);
  for (const std::int64_t interval : {0, 3}) {
    tiling.accumulation_interval = interval;
    const auto found = reference::emulate_attention(trial.problem(), tiling);
    CHECK(reference::relative_rms(found.output, usual.output) < 1e-14);
  }
  tiling.num_splits = 3;
  tiling.split_tiles = 2;
  const auto split = reference::emulate_attention(trial.problem(), tiling);
  const double rms = reference::relative_rms(split.output, usual.output);
  // Other parts have other largest scores.
  CHECK(rms > 1e-4);
  CHECK(rms < 3e-2);
  for (std::size_t row = 0; row < split.rows.size(); ++row) {
    CHECK(distance(split.lse[row], usual.lse[row]) < 1e-6);
    CHECK(split.seen[row] == usual.seen[row]);
  }
  // One part of all tiles is no split but for fp32.
  tiling.split_tiles = 100;
  const auto whole = reference::emulate_attention(trial.problem(), tiling);
  CHECK(reference::relative_rms(whole.output, usual.output) < 1e-6);
}

TEST_CASE("tilings that are none are refused", "[kernels][fp8_attention]") {
  const Fp8Trial trial({{4}, {4}, 2, 1}, fresh_seed());
  for (const AttentionTiling& tiling :
       {AttentionTiling{48}, AttentionTiling{0}, AttentionTiling{64, -1},
        AttentionTiling{64, 1, false, false, 2, 0}, AttentionTiling{64, 1, false, false, 0, 3}}) {
    CHECK_THROWS_AS(reference::emulate_attention(trial.problem(), tiling), Error);
  }
}

TEST_CASE("NaN reaches the rows that see it and no other", "[kernels][fp8_attention]") {
  Fp8Trial trial({{100}, {100}, 4, 2}, fresh_seed());
  const auto before = reference::compute_attention(trial.problem(), exactly());
  const auto tiles_before = reference::emulate_attention(trial.problem(), {});
  trial.poison_key(0, 60);
  const auto after = reference::compute_attention(trial.problem(), exactly());
  const auto tiles_after = reference::emulate_attention(trial.problem(), {});
  for (std::size_t row = 0; row < before.rows.size(); ++row) {
    const bool sees = before.seen[row] > 60;
    CHECK(std::isnan(after.lse[row]) == sees);
    CHECK(std::isnan(after.output[row * 64]) == sees);
    CHECK(std::isnan(tiles_after.output[row * 64 + 63]) == sees);
    if (sees) continue;
    CHECK(distance(after.lse[row], before.lse[row]) == 0.0);
    CHECK(distance(tiles_after.output[row * 64], tiles_before.output[row * 64]) < 1e-12);
  }
}

// ---- Sums in the tensor cores ----

double sum_of(const std::vector<double>& products, double before) {
  std::vector<double> a(reference::kMultiplyRows * products.size(), 0.0);
  std::copy(products.begin(), products.end(), a.begin());
  std::vector<double> b(products.size() * reference::kMultiplyColumns, 1.0);
  std::vector<double> c(reference::kMultiplyRows * reference::kMultiplyColumns, before);
  reference::multiply_add_in_tensor_core({reference::kMultiplyRows, reference::kMultiplyColumns,
                                          products.size(), a.data(), products.size(), b.data(),
                                          reference::kMultiplyColumns, c.data(),
                                          reference::kMultiplyColumns});
  for (std::size_t i = 1; i < reference::kMultiplyColumns; ++i) CHECK(distance(c[i], c[0]) == 0.0);
  return c[0];
}

TEST_CASE("sums in the tensor cores keep 13 bits below the largest of their products",
          "[kernels][fp8_attention]") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<double> ones(32, 1.0);
  CHECK(sum_of({3.0, -5.0, 0.25}, 1.0) == -0.75);
  CHECK(sum_of(ones, 8192.0) == 8192.0 + 32.0);
  CHECK(sum_of(ones, 16384.0) == 16384.0);
  CHECK(sum_of(ones, -16384.0) == -16384.0);
  CHECK(sum_of({16384.0, -16384.0, 1.0}, 0.0) == 0.0);
  CHECK(sum_of({1.5, 8192.0}, 0.0) == 8193.0);
  CHECK(sum_of({-1.5, -8192.0}, 0.0) == -8193.0);
  // 2 * 8192 + 3 needs a bit more than there is.
  CHECK(sum_of({8192.0, 8195.0}, 0.0) == 16386.0);
  CHECK(sum_of({0.0, 0.0}, 0.0) == 0.0);
  CHECK(std::isnan(sum_of({1.0, nan}, 3.0)));
  CHECK(sum_of({1.0, kInfinity}, 3.0) == kInfinity);
}

}  // namespace
}  // namespace jit::test
