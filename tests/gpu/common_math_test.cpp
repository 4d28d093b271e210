// The bounds that common/math.cuh promises, and loads that must not touch memory.
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "gpu/runtime_fixture.hpp"

namespace jit::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<ScalarResults> run_scalars(RuntimeFixture& fixture, const std::vector<float>& a,
                                       const std::vector<float>& b) {
  Driver& gpu = fixture.gpu();
  const Kernel kernel = fixture.runtime().get_kernel("scalars", {});
  const auto first = DeviceBuffer::of<float>(gpu, a);
  const auto second = DeviceBuffer::of<float>(gpu, b);
  DeviceBuffer results(gpu, a.size() * sizeof(ScalarResults));
  ScalarParams params{first.as<float>(), second.as<float>(), results.as<ScalarResults>(),
                      static_cast<std::uint32_t>(a.size()), 0};
  synchronize(gpu);
  kernel.launch({(params.count + 255) / 256}, {256}, nullptr, params);
  synchronize(gpu);
  return results.to_vector<ScalarResults>();
}

std::vector<float> uniform(float low, float high) {
  std::mt19937_64 engine(run_seed());
  std::uniform_real_distribution<float> distribution(low, high);
  std::vector<float> values(100'000);
  for (float& value : values) value = distribution(engine);
  return values;
}

double relative_error(float got, double expected) {
  return std::fabs(static_cast<double>(got) - expected) / std::fabs(expected);
}

TEST_CASE("exp2_approx keeps its bound", "[common][math]") {
  RuntimeFixture fixture;
  const std::vector<float> values = uniform(-125.0F, 125.0F);
  const auto results = run_scalars(fixture, values, values);
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    worst = std::max(worst, relative_error(results[i].exp2, std::exp2(double{values[i]})));
  }
  CHECK(worst <= 0x1p-22);
  const std::vector<float> special{-kInfinity, -127.0F, -1e4F, 0.0F, -0.0F, kInfinity};
  const auto at = run_scalars(fixture, special, special);
  for (int i = 0; i < 3; ++i) CHECK(at[static_cast<std::size_t>(i)].exp2 == 0.0F);
  CHECK(at[3].exp2 == 1.0F);
  CHECK(at[4].exp2 == 1.0F);
  CHECK(at[5].exp2 == kInfinity);
}

TEST_CASE("log2_approx keeps its bound", "[common][math]") {
  RuntimeFixture fixture;
  const std::vector<float> near = uniform(0.5F, 2.0F);
  const auto near_results = run_scalars(fixture, near, near);
  double worst = 0;
  for (std::size_t i = 0; i < near.size(); ++i) {
    worst = std::max(worst, std::fabs(double{near_results[i].log2} - std::log2(double{near[i]})));
  }
  CHECK(worst <= 0x1p-22);
  const std::vector<float> large = uniform(2.0F, 1e30F);
  const auto large_results = run_scalars(fixture, large, large);
  worst = 0;
  for (std::size_t i = 0; i < large.size(); ++i) {
    worst = std::max(worst, relative_error(large_results[i].log2, std::log2(double{large[i]})));
  }
  CHECK(worst <= 0x1p-22);
  CHECK(run_scalars(fixture, {1.0F}, {1.0F})[0].log2 == 0.0F);
}

TEST_CASE("reciprocals are as near as they promise", "[common][math]") {
  RuntimeFixture fixture;
  const std::vector<float> values = uniform(1.0F, 2.0F);
  const auto results = run_scalars(fixture, values, values);
  std::size_t not_rounded = 0;
  double worst = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    not_rounded += results[i].reciprocal_ieee != 1.0F / values[i];
    const double error = double{results[i].reciprocal} - 1.0 / double{values[i]};
    worst = std::max(worst, std::fabs(error) / 0x1p-24);  // the unit in the last place below 1
  }
  CHECK(not_rounded == 0);
  CHECK(worst <= 1.0);
  const std::vector<float> special{2.0F, 0.0F, -0.0F, kInfinity, 0x1p-140F, 0x1p127F};
  const auto at = run_scalars(fixture, special, special);
  CHECK(at[0].reciprocal == 0.5F);
  CHECK(at[1].reciprocal_ieee == kInfinity);
  CHECK(at[2].reciprocal_ieee == -kInfinity);
  CHECK(at[3].reciprocal_ieee == 0.0F);
  CHECK(at[4].reciprocal_ieee == kInfinity);
  CHECK(at[5].reciprocal_ieee == 0x1p-127F);  // a subnormal
}

TEST_CASE("minimum and maximum drop a NaN", "[common][math]") {
  RuntimeFixture fixture;
  const auto at = run_scalars(fixture, {kNaN, 1.0F, -kInfinity, kNaN}, {3.0F, kNaN, 2.0F, kNaN});
  CHECK(at[0].minimum == 3.0F);
  CHECK(at[0].maximum == 3.0F);
  CHECK(at[1].minimum == 1.0F);
  CHECK(at[1].maximum == 1.0F);
  CHECK(at[2].minimum == -kInfinity);
  CHECK(at[2].maximum == 2.0F);
  CHECK(std::isnan(at[3].minimum));
  CHECK(std::isnan(at[3].maximum));
}

TEST_CASE("an inactive load touches nothing and gives zeros", "[common][memory]") {
  RuntimeFixture fixture;
  Driver& gpu = fixture.gpu();
  const auto results = DeviceBuffer::of<std::uint32_t>(gpu, std::vector<std::uint32_t>(9, 77));
  synchronize(gpu);
  const Kernel kernel = fixture.runtime().get_kernel("inactive_loads", {});
  kernel.launch({1}, {32}, nullptr, InactiveParams{nullptr, results.as<std::uint32_t>()});
  synchronize(gpu);
  CHECK(results.to_vector<std::uint32_t>() == std::vector<std::uint32_t>(9, 0));
}

}  // namespace
}  // namespace jit::test
