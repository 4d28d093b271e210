// The judge of attention in 8 bits: right results of every kind pass, every kind of wrong one is
// found, and sums that are never carried over fail where values have a mean.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "jit/error.hpp"
#include "kernels/fp8_attention_trial.hpp"
#include "kernels/reference/attention_emulator.hpp"
#include "kernels/reference/attention_judge.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

using reference::AttentionAgreement;
using reference::AttentionCheck;
using reference::AttentionCheckOptions;
using reference::AttentionOptions;
using reference::AttentionReference;
using reference::AttentionRow;
using reference::AttentionTiling;

constexpr std::int64_t kBlock = 64;

std::uint64_t fresh_seed() { return std::random_device{}(); }

AttentionOptions exactly() {
  AttentionOptions options;
  options.eager = false;
  options.floor = true;
  return options;
}

AttentionCheckOptions strictly() {
  AttentionCheckOptions options;
  options.rules = reference::rules_of_fp8_weights();
  options.poisoned = true;
  return options;
}

Fp8Slip in_tiles() {
  Fp8Slip slip;
  slip.block = kBlock;
  return slip;
}

// A trial, what is exact of it and what its tiles give.
struct Bench {
  explicit Bench(const Fp8Shape& shape, std::uint64_t seed)
      : trial(shape, seed),
        exact(reference::compute_attention(trial.problem(), exactly())),
        tiles(reference::emulate_attention(trial.problem(), {kBlock})) {}

  Fp8Result write(const Fp8Slip& slip, DType type = DType::kBF16, float scale = 1.0F) const {
    return write_result(
        trial, [&](const AttentionRow& row) { return trial.attend(row, slip); }, type, scale);
  }
  AttentionCheck check(const Fp8Result& result) const {
    return reference::check_attention(trial.problem(), exact, result.written, strictly());
  }

  Fp8Trial trial;
  AttentionReference exact;
  reference::AttentionEmulation tiles;
};

Fp8Shape usual_shape() {
  Fp8Shape shape{{60, 30, 7}, {300, 80, 7}, 4, 2};
  shape.descales = 1;
  shape.used = true;
  return shape;
}

std::vector<Fp8Shape> shapes() {
  std::vector<Fp8Shape> shapes{usual_shape()};
  shapes.push_back({{80, 20}, {140, 5}, 4, 1, 96, 96, false, 30, 9, 0.0F, 0.0F, 2, 1});
  shapes.push_back({{40, 9}, {200, 80}, 8, 2, 192, 128, true, -1, -1, 15.0F, 0.0F, 3, 2});
  Fp8Shape peaky{{50}, {260}, 4, 2, 64, 64, true};
  peaky.query_factor = 16.0;
  shapes.push_back(peaky);
  return shapes;
}

TEST_CASE("right results of attention in 8 bits pass", "[kernels][fp8_attention]") {
  const std::uint64_t seed = fresh_seed();
  for (const Fp8Shape& shape : shapes()) {
    const Bench bench(shape, seed);
    for (const DType type : {DType::kBF16, DType::kF32, DType::kE4M3}) {
      const Fp8Result result = bench.write(in_tiles(), type, type == DType::kE4M3 ? 0.05F : 1.0F);
      const AttentionCheck check = bench.check(result);
      CAPTURE(seed, shape.queries, shape.dim, name_of(type), check.text());
      CHECK(check.first_failure == "");
      CHECK(check.rows == bench.exact.rows.size());
      if (type == DType::kE4M3) continue;
      const AttentionAgreement agreement =
          reference::compare_with_emulation(bench.tiles, result.written);
      CAPTURE(agreement.text());
      CHECK(agreement.passed());
      CHECK(agreement.rms < 4e-3);
    }
  }
}

struct Named {
  const char* name;
  Fp8Slip slip;
};

// What the exact reference tells from a right kernel.
std::vector<Named> slips() {
  std::vector<Named> slips;
  const auto add = [&](const char* name, auto change) {
    slips.push_back({name, in_tiles()});
    change(slips.back().slip);
  };
  add("a key too many at the end", [](Fp8Slip& slip) { slip.end = 1; });
  add("a key too few at the end", [](Fp8Slip& slip) { slip.end = -1; });
  add("a key too many at the begin", [](Fp8Slip& slip) { slip.begin = 1; });
  add("a key too few at the begin", [](Fp8Slip& slip) { slip.begin = -1; });
  add("the other side's window", [](Fp8Slip& slip) { slip.swaps_windows = true; });
  add("another head's descale", [](Fp8Slip& slip) { slip.descale_head = 1; });
  add("another head's keys", [](Fp8Slip& slip) { slip.key_head = 1; });
  add("no sink", [](Fp8Slip& slip) { slip.forgets_sink = true; });
  add("a sink without the offset", [](Fp8Slip& slip) { slip.sink_without_offset = true; });
  add("sums that are not rescaled", [](Fp8Slip& slip) { slip.forgets_rescale = true; });
  add("a tile that is skipped", [](Fp8Slip& slip) { slip.skips_tile = true; });
  add("weights that saturate", [](Fp8Slip& slip) { slip.offset = 10.0; });
  return slips;
}

TEST_CASE("attention in 8 bits done otherwise is found", "[kernels][fp8_attention]") {
  const std::uint64_t seed = fresh_seed();
  Fp8Shape shape{{60, 30}, {220, 90}, 4, 2, 64, 64, false, 40, 11};
  shape.descales = 1;
  shape.sinks = 1;
  const Bench bench(shape, seed);
  for (const Named& slip : slips()) {
    for (const DType type : {DType::kBF16, DType::kE4M3}) {
      const Fp8Result result = bench.write(slip.slip, type, type == DType::kE4M3 ? 0.05F : 1.0F);
      const AttentionCheck check = bench.check(result);
      CAPTURE(seed, slip.name, name_of(type), check.text());
      CHECK_FALSE(check.passed());
      // Without what LSEs show.
      Fp8Result blind = bench.write(slip.slip, type, type == DType::kE4M3 ? 0.05F : 1.0F);
      blind.written.lse = nullptr;
      const AttentionCheck other = bench.check(blind);
      CAPTURE(other.text());
      CHECK_FALSE(other.passed());
    }
  }
}

// How much further from the emulation than a right kernel's result; its own tiles are the only ones
// that it agrees with.
TEST_CASE("the emulation tells other tiles, orders, offsets and sums from its own",
          "[kernels][fp8_attention]") {
  const std::uint64_t seed = fresh_seed();
  const Bench bench({{40}, {640}, 4, 2, 64, 64, true}, seed);
  const auto rms_of = [&](const Fp8Slip& slip) {
    const Fp8Result result = bench.write(slip, DType::kF32);
    CAPTURE(seed, bench.check(result).text());
    // The exact reference passes nearly all of them: nothing else is wrong with them.
    CHECK(bench.check(result).passed() != slip.sums_quantised);
    return reference::compare_with_emulation(bench.tiles, result.written).rms;
  };
  CHECK(rms_of(in_tiles()) < 1e-3);
  const auto with = [](auto change) {
    Fp8Slip slip = in_tiles();
    change(slip);
    return slip;
  };
  CHECK(rms_of(with([](Fp8Slip& slip) { slip.first_to_last = true; })) > 5e-3);
  CHECK(rms_of(with([](Fp8Slip& slip) { slip.block = 2 * kBlock; })) > 4e-3);
  CHECK(rms_of(with([](Fp8Slip& slip) { slip.offset = 8.5; })) > 1.5e-2);
  CHECK(rms_of(with([](Fp8Slip& slip) { slip.offset = 0.0; })) > 2e-3);
  CHECK(rms_of(with([](Fp8Slip& slip) { slip.sums_quantised = true; })) > 1e-3);
}

TEST_CASE("NaN, rows that were not written and rows of no sequence are found",
          "[kernels][fp8_attention]") {
  const Bench bench(usual_shape(), fresh_seed());
  const Fp8Result right = bench.write(in_tiles());
  REQUIRE(bench.check(right).passed());
  const auto with = [&](std::int64_t token, std::int64_t head, double value) {
    Fp8Result result = bench.write(in_tiles());
    const auto at = static_cast<std::uint64_t>((token * 4 + head) * 64 + 17);
    reference::store_element(DType::kBF16, result.output.data(), at, value);
    return bench.check(result);
  };
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(with(30, 2, nan).wrong == 1);
  CHECK(with(30, 2, 40.0).wrong == 1);
  // Places behind the lengths that are used are no rows.
  CHECK(with(2 + 60, 1, 0.0).wrong == 1);
  CHECK(with(2 + 60 + 4, 1, 0.0).wrong == 1);
  CHECK(with(1, 1, 0.0).wrong == 1);
  Fp8Result result = bench.write(in_tiles());
  std::fill_n(&result.output[std::size_t{30 * 4 + 1} * 128], 128, std::uint8_t{0xFF});
  CHECK(bench.check(result).wrong >= 64);
  AttentionCheck shifted = bench.check(bench.write([] {
    Fp8Slip slip = in_tiles();
    slip.key_head = 1;
    return slip;
  }()));
  CHECK(shifted.wrong_lse > 300);
}

TEST_CASE("LSEs are judged to a thousandth, more loosely only where scores are large",
          "[kernels][fp8_attention]") {
  const auto wrong_of = [&](double query_factor, float error) {
    Fp8Shape shape{{40}, {400}, 4, 2};
    shape.query_factor = query_factor;
    const Bench bench(shape, 5);
    Fp8Result result = bench.write(in_tiles());
    for (float& lse : result.lse) lse += error;
    return bench.check(result).wrong_lse;
  };
  CHECK(wrong_of(1.0, 8e-4F) == 0);
  CHECK(wrong_of(1.0, -1.3e-3F) == 160);
  CHECK(wrong_of(16.0, 1.3e-3F) < 160);
  CHECK(wrong_of(16.0, 0.3F) == 160);
}

// Where a part has the sink every row of it is read.
void check_part(const Fp8Trial& trial, const reference::AttentionKeyRange& keys) {
  AttentionOptions part = exactly();
  part.keys = keys;
  const AttentionReference exact = reference::compute_attention(trial.problem(), part);
  const auto tiles = reference::emulate_attention(trial.problem(), {kBlock}, part);
  std::size_t row = 0;
  std::size_t unread = 0;
  Fp8Result result = write_result(
      trial,
      [&](const AttentionRow&) {
        Fp8Row done;
        const auto first = tiles.output.begin() + static_cast<std::ptrdiff_t>(row * 64);
        done.lse = tiles.lse[row++];
        if (std::isinf(done.lse)) ++unread;
        if (std::isfinite(done.lse)) done.output.assign(first, first + 64);
        return done;
      },
      DType::kF32);
  AttentionCheckOptions options = strictly();
  const auto check = [&] {
    return reference::check_attention(trial.problem(), exact, result.written, options);
  };
  const bool has_sinks = trial.shape().sinks != 0 && keys.begin == 0;
  CAPTURE(keys.begin, trial.shape().sinks, check().text());
  CHECK((unread == 0) == has_sinks);
  CHECK(check().passed() == has_sinks);
  options.rules.empty_row = false;
  CHECK(check().passed());
  const auto middle = static_cast<std::size_t>(trial.tokens() / 2);
  result.lse[middle] += 0.5F;
  CHECK(check().wrong_lse == 1);
}

TEST_CASE("parts of a split are judged by their keys; rows without keys need not be written",
          "[kernels][fp8_attention]") {
  for (const int sinks : {0, 2}) {
    Fp8Shape shape{{100}, {200}, 4, 2, 64, 64, true, 60, -1};
    shape.sinks = sinks;
    const Fp8Trial trial(shape, fresh_seed());
    for (const std::int64_t begin : {0, 128}) check_part(trial, {begin, begin + 128});
  }
}

TEST_CASE("rules with a floor of weights need a reference that has it",
          "[kernels][fp8_attention]") {
  const Bench bench({{4}, {4}, 2, 1}, fresh_seed());
  AttentionOptions options = exactly();
  options.floor = false;
  const auto without = reference::compute_attention(bench.trial.problem(), options);
  const Fp8Result result = bench.write(in_tiles());
  CHECK_THROWS_AS(
      reference::check_attention(bench.trial.problem(), without, result.written, strictly()),
      Error);
  const Fp8Result codes = bench.write(in_tiles(), DType::kE4M3, 0.1F);
  CHECK_THROWS_AS(reference::compare_with_emulation(bench.tiles, codes.written), Error);
}

// ---- Two levels ----

// What the tensor cores make of a few rows that see everything, biased or not.
AttentionCheck check_sums(std::int64_t keys, std::int64_t interval, bool biased) {
  Fp8Shape shape{{8}, {keys}, 2, 1, 64, 64, false};
  shape.query_factor = biased ? 0.0 : 1.0;
  shape.mean = biased ? 1.0 : 0.0;
  const Fp8Trial trial(shape, 11);
  const AttentionReference exact = reference::compute_attention(trial.problem(), exactly());
  AttentionTiling tiling{128, interval, true, true};
  const auto sums = reference::emulate_attention(trial.problem(), tiling);
  std::size_t row = 0;
  const Fp8Result result = write_result(trial, [&](const AttentionRow&) {
    Fp8Row done;
    const auto first = sums.output.begin() + static_cast<std::ptrdiff_t>(row * 64);
    done.output.assign(first, first + 64);
    done.lse = sums.lse[row++];
    return done;
  });
  AttentionCheckOptions options = strictly();
  if (biased) options.rules = reference::rules_of_biased_values(interval);
  return reference::check_attention(trial.problem(), exact, result.written, options);
}

TEST_CASE("sums that are never carried over to fp32 fail where values have a mean, there alone",
          "[kernels][fp8_attention]") {
  const AttentionCheck every = check_sums(16384, 1, true);
  const AttentionCheck fourth = check_sums(16384, 4, true);
  const AttentionCheck never = check_sums(16384, 0, true);
  const AttentionCheck random = check_sums(4096, 0, false);
  CAPTURE(every.text(), fourth.text(), never.text(), random.text());
  CHECK(every.passed());
  CHECK(every.rms < 2.5e-3);
  CHECK(fourth.passed());
  CHECK(fourth.rms > every.rms);
  CHECK_FALSE(never.passed());
  CHECK(never.rms > 0.1);
  CHECK(random.passed());
  // What is right at 4096 keys has gone wrong by 16384.
  CHECK(reference::check_growth(check_sums(4096, 1, true), every) == "");
  CHECK(reference::check_growth(check_sums(4096, 0, true), never) != "");
}

}  // namespace
}  // namespace jit::test
