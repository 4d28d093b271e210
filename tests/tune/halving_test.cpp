// Halving, with clocks that are simulated: what wins, how often, at what cost.
#include "tune/halving.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <numeric>
#include <random>

namespace jit::testing {
namespace {

// What disturbs a measurement.
struct Disturbance {
  double spread = 0.005;  // standard deviation of a sample
  double tail = 0.05;     // share of samples that somebody else's work makes longer
  double drift = 0;       // of the clock, from the first sample to the thousandth
  double wave = 0;        // of the clock, up and down
};

// Variants with a true time each, longer at larger sizes.
class SimulatedClock final : public VariantTimer {
 public:
  SimulatedClock(std::vector<double> us, std::size_t sizes, Disturbance disturbance,
                 std::uint64_t seed)
      : us_(std::move(us)), sizes_(sizes), disturbance_(disturbance), random_(seed) {}

  std::vector<std::vector<double>> sample(std::span<const std::size_t> variants) override {
    std::vector<std::size_t> turns(variants.size());
    std::iota(turns.begin(), turns.end(), std::size_t{0});
    std::shuffle(turns.begin(), turns.end(), random_);
    std::vector<std::vector<double>> samples(variants.size(), std::vector<double>(sizes_));
    for (std::size_t s = 0; s < sizes_; ++s) {
      for (const std::size_t turn : turns) samples[turn][s] = one(variants[turn], s);
    }
    ++rounds_;
    return samples;
  }
  std::chrono::nanoseconds now() const override {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(1000 * spent_us_));
  }
  double spent_us() const { return spent_us_; }
  std::size_t rounds() const { return rounds_; }
  double true_us(std::size_t variant) const { return us_[variant]; }
  // Of a sweep of `samples` each, without noise.
  double sweep_us(std::uint32_t samples) const {
    double sum = 0;
    for (const double us : us_) sum += us;
    double factors = 0;
    for (std::size_t s = 0; s < sizes_; ++s) factors += std::pow(4.0, static_cast<double>(s));
    return sum * factors * samples;
  }

 private:
  double one(std::size_t variant, std::size_t size) {
    const double steps = taken_++;
    double us = us_[variant] * std::pow(4.0, static_cast<double>(size));
    us *= std::exp(disturbance_.spread * normal_(random_));
    us *= 1 + disturbance_.drift * steps / 1000 + disturbance_.wave * std::sin(steps / 40);
    if (uniform_(random_) < disturbance_.tail) us *= 1 + 0.5 * tail_(random_);
    spent_us_ += us;
    return us;
  }

  std::vector<double> us_;
  std::size_t sizes_;
  Disturbance disturbance_;
  std::mt19937_64 random_;
  std::normal_distribution<double> normal_;
  std::exponential_distribution<double> tail_;
  std::uniform_real_distribution<double> uniform_;
  double taken_ = 0;
  double spent_us_ = 0;
  std::size_t rounds_ = 0;
};

std::vector<std::size_t> all_of(std::size_t count) {
  std::vector<std::size_t> variants(count);
  std::iota(variants.begin(), variants.end(), std::size_t{0});
  return variants;
}

HalvingOptions options_for(std::size_t sizes) {
  HalvingOptions options;
  options.sizes = sizes;
  return options;
}

// As of tile sizes: some near the best, most some tens of percent away.
std::vector<double> spread_times(std::size_t count) {
  std::vector<double> us;
  for (std::size_t i = 0; i < count; ++i) {
    us.push_back(10 * (1 + 0.03 * static_cast<double>(i * 7 % count)));
  }
  return us;
}

struct Trials {
  int good = 0;  // the choice is within 1 % of the best
  int count = 0;
  double worst = 0;  // how much slower a choice was
  double share = 0;  // of the time of a sweep
  std::vector<int> wins;
};

Trials try_often(const std::vector<double>& us, const Disturbance& disturbance,
                 std::size_t untuned) {
  constexpr std::size_t kSizes = 3;
  Trials trials;
  trials.wins.resize(us.size());
  const double best = *std::min_element(us.begin(), us.end());
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SimulatedClock clock(us, kSizes, disturbance, seed);
    const HalvingOptions options = options_for(kSizes);
    const HalvingResult result = halve(clock, all_of(us.size()), untuned, options);
    const double loss = us[result.winner] / best - 1;
    trials.good += loss <= 0.01 ? 1 : 0;
    trials.worst = std::max(trials.worst, loss);
    trials.share += clock.spent_us() / clock.sweep_us(options.final_samples);
    ++trials.wins[result.winner];
    ++trials.count;
  }
  trials.share /= trials.count;
  return trials;
}

void check(const Trials& trials, double most_share) {
  CAPTURE(trials.good, trials.count, trials.worst, trials.share, trials.wins);
  CHECK(trials.good * 100 >= trials.count * 97);

  CHECK(trials.share < most_share);
}

TEST_CASE("the fastest variant wins at a fraction of a sweep's cost", "[halving]") {
  for (const std::size_t count : {8U, 16U, 60U}) {
    CAPTURE(count);
    check(try_often(spread_times(count), {}, 1), 0.25);
  }
}

TEST_CASE("noise with heavy tails and a drifting clock do not decide", "[halving]") {
  check(try_often(spread_times(16), {.spread = 0.01, .tail = 0.2}, 1), 0.25);
  check(try_often(spread_times(16), {.drift = 0.2, .wave = 0.1}, 1), 0.25);
  check(try_often(spread_times(16), {.spread = 0.02, .tail = 0.1, .wave = 0.05}, 1), 0.35);
}

TEST_CASE("of equal variants the untuned one stays, else the first", "[halving]") {
  const std::vector<double> us{10.0, 10.01, 10.02, 10.01, 14.0, 13.0, 12.0, 18.0};
  for (const std::size_t untuned : {2U, 3U}) {
    const Trials trials = try_often(us, {}, untuned);
    check(trials, 0.35);
    CHECK(trials.wins[untuned] * 10 >= trials.count * 9);
  }
  // The untuned one is slow: of the four equal ones the first in the order given wins most often.
  const Trials trials = try_often(us, {.spread = 0.002}, 7);
  CAPTURE(trials.wins);
  CHECK(trials.wins[0] * 10 >= trials.count * 9);
}

TEST_CASE("an untuned variant that is slower loses", "[halving]") {
  const Trials trials = try_often({10.3, 10.0, 11.0, 10.6}, {}, 0);
  CAPTURE(trials.wins);
  CHECK(trials.wins[1] * 10 >= trials.count * 9);
}

TEST_CASE("repeated tuning ends the same or equal", "[halving]") {
  const std::vector<double> us{10.6, 10.07, 10.0, 10.04, 10.3, 12.0, 13.0, 14.0};
  const Trials trials = try_often(us, {.spread = 0.01, .tail = 0.1}, 7);
  CAPTURE(trials.wins);
  CHECK((trials.wins[1] + trials.wins[2] + trials.wins[3]) * 10 >= trials.count * 9);
}

TEST_CASE("a sweep drops nobody and takes every sample", "[halving]") {
  SimulatedClock clock(spread_times(8), 2, {}, 1);
  HalvingOptions options = options_for(2);
  options.exhaustive = true;
  const HalvingResult result = halve(clock, all_of(8), 0, options);
  CHECK(clock.rounds() == options.final_samples);
  for (const auto& times : result.times) {
    REQUIRE(times.size() == 2);
    CHECK(times[0].samples == options.final_samples);
  }
  for (const std::string& reason : result.dropped) CHECK(reason.empty());
  CHECK(result.complete);
  CHECK(std::abs(result.sampled_us / clock.spent_us() - 1) < 1e-9);
}

TEST_CASE("what was dropped says why, with its times", "[halving]") {
  SimulatedClock clock({10, 20, 11}, 1, {}, 1);
  const HalvingResult result = halve(clock, all_of(3), 0, options_for(1));
  CHECK(result.winner == 0);
  CHECK(result.dropped[0].empty());
  CAPTURE(result.dropped[1]);
  CHECK(result.dropped[1].ends_with(" % slower than the fastest after 4 samples"));
  CHECK(std::abs(std::stod(result.dropped[1]) - 100) < 10);
  CHECK(result.times[1].front().samples == 4);
  CHECK(std::abs(result.times[1].front().median_us - 20) < 1);
  CHECK(result.times[0].front().low_us <= result.times[0].front().median_us);
  CHECK(result.times[0].front().median_us <= result.times[0].front().high_us);
}

TEST_CASE("a budget that is used up leaves the best so far", "[halving]") {
  SimulatedClock clock(spread_times(16), 1, {}, 1);
  HalvingOptions options = options_for(1);
  options.budget = std::chrono::milliseconds(0);
  const HalvingResult result = halve(clock, all_of(16), 5, options);
  CHECK_FALSE(result.complete);
  CHECK(clock.rounds() == 1);
  CHECK(clock.true_us(result.winner) < 11);
  for (const auto& times : result.times) CHECK(times.front().samples == 1);
}

TEST_CASE("a part of the variants is timed, and nothing else", "[halving]") {
  SimulatedClock clock(spread_times(8), 1, {}, 1);
  const std::vector<std::size_t> some{6, 2, 4};
  const HalvingResult result = halve(clock, some, TuningEvidence::npos, options_for(1));
  CHECK(std::find(some.begin(), some.end(), result.winner) != some.end());
  REQUIRE(result.times.size() == 7);
  CHECK(result.times[0].empty());
  CHECK_FALSE(result.times[6].empty());
}

TEST_CASE("the interval around a median holds it 95 times of 100", "[halving]") {
  int held = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SimulatedClock clock({10}, 1, {.spread = 0.02, .tail = 0}, seed);
    HalvingOptions options = options_for(1);
    options.exhaustive = true;
    const TuningTime time = halve(clock, all_of(1), 0, options).times[0].front();
    held += time.low_us <= 10 && 10 <= time.high_us ? 1 : 0;
  }
  CAPTURE(held);
  CHECK(held >= 372);
  CHECK(held <= 398);
}

TEST_CASE("noise is what a variant differs from itself", "[halving]") {
  const auto noise_of = [](double spread) {
    SimulatedClock clock(std::vector<double>(8, 10.0), 1, {.spread = spread, .tail = 0}, 3);
    HalvingOptions options = options_for(1);
    options.exhaustive = true;
    return halve(clock, all_of(8), 0, options).noise;
  };
  // Two medians of 20 samples each: spread * 1.25 * sqrt(2 / 20) apart.
  CHECK(noise_of(0) == 0);
  CHECK(std::abs(noise_of(0.01) - 0.004) < 0.0025);
  CHECK(std::abs(noise_of(0.1) - 0.04) < 0.025);
}

}  // namespace
}  // namespace jit::testing
