// common/sync.cuh and common/warp.cuh: named barriers, elections, registers, reductions.
#include <algorithm>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <random>

#include "gpu/runtime_fixture.hpp"
#include "test_registers/params.h"
#include "test_sync/params.h"
#include "test_warp/params.h"

namespace jit::test {
namespace {

TEST_CASE("named barriers hand data over; one lane of a warp is elected", "[common][sync]") {
  namespace device = cubinet::test_sync;
  constexpr std::size_t kHalf = device::kThreads / 2;
  RuntimeFixture fixture;
  Driver& gpu = fixture.gpu();
  const std::vector<std::uint32_t> poison((device::kBarriers + 1) * kHalf, 7);
  const auto handed = DeviceBuffer::of<std::uint32_t>(gpu, poison);
  const DeviceBuffer circled(gpu, device::kThreads * 4);
  const DeviceBuffer elected(gpu, device::kThreads * 4);
  synchronize(gpu);
  fixture.runtime()
      .get_kernel("test_sync", {})
      .launch({1}, {device::kThreads}, nullptr,
              device::Params{handed.as<std::uint32_t>(), circled.as<std::uint32_t>(),
                             elected.as<std::uint32_t>(), 0, 0});
  synchronize(gpu);
  const auto got = handed.to_vector<std::uint32_t>();
  for (std::size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i] == 1000 * (i / kHalf + 1) + kHalf - 1 - i % kHalf);
  }
  const auto circle = circled.to_vector<std::uint32_t>();
  const auto elections = elected.to_vector<std::uint32_t>();
  for (std::size_t i = 0; i < device::kThreads; ++i) {
    CAPTURE(i);
    const std::size_t first = i / kHalf * kHalf;
    CHECK(circle[i] == first + (i + device::kRounds) % kHalf + device::kRounds);
    CHECK((elections[i] == 0 || elections[i] == device::kRounds));
  }
  for (std::size_t warp = 0; warp < device::kThreads / 32; ++warp) {
    const auto lanes = std::span(elections).subspan(warp * 32, 32);
    CHECK(std::ranges::count(lanes, device::kRounds) == 1);
  }
}

// ---- Registers ----

struct Registers {
  std::uint32_t threads, released, allocated, live;
};

std::vector<std::uint32_t> mixed(std::vector<std::uint32_t> values, std::uint32_t rounds) {
  for (std::uint32_t round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < values.size(); ++i) {
      values[i] = values[i] * 5 + values[(i + values.size() / 2) % values.size()];
    }
  }
  return values;
}

void check_registers(RuntimeFixture& fixture, const Registers& plan) {
  Driver& gpu = fixture.gpu();
  constexpr std::uint32_t kRounds = 9;
  std::mt19937_64 random(run_seed());
  std::vector<std::uint32_t> words(std::size_t{plan.live} * plan.threads);
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random());
  const auto from = DeviceBuffer::of<std::uint32_t>(gpu, words);
  const auto results =
      DeviceBuffer::of<std::uint32_t>(gpu, std::vector<std::uint32_t>(words.size(), 7));
  synchronize(gpu);
  const Kernel kernel =
      fixture.runtime().get_kernel("test_registers", {{"THREADS", std::int64_t{plan.threads}},
                                                      {"RELEASED", std::int64_t{plan.released}},
                                                      {"ALLOCATED", std::int64_t{plan.allocated}},
                                                      {"LIVE", std::int64_t{plan.live}}});
  // As many values as the launch gives registers or more, and none of them in memory.
  CHECK(plan.live >= kernel.info().registers);
  CHECK(kernel.info().spill_bytes == 0);
  kernel.launch({300}, {plan.threads}, nullptr,
                cubinet::test_registers::Params{from.as<std::uint32_t>(),
                                                results.as<std::uint32_t>(), kRounds, 0});
  synchronize(gpu);
  const auto got = results.to_vector<std::uint32_t>();
  std::size_t wrong = 0;
  for (std::uint32_t thread = 0; thread < plan.threads; ++thread) {
    std::vector<std::uint32_t> values;
    for (std::uint32_t i = 0; i < plan.live; ++i)
      values.push_back(words[i * plan.threads + thread]);
    if (thread >= 128) {
      values = mixed(values, kRounds);
    } else {
      for (std::uint32_t& value : values) ++value;
    }
    for (std::uint32_t i = 0; i < plan.live; ++i) {
      wrong += got[i * plan.threads + thread] == values[i] ? 0U : 1U;
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("warpgroups use the registers that another released", "[common][registers]") {
  RuntimeFixture fixture;
  for (const Registers& plan :
       {Registers{384, 24, 240, 216}, Registers{512, 32, 160, 136}, Registers{640, 64, 104, 96}}) {
    CAPTURE(plan.threads);
    check_registers(fixture, plan);
  }
}

// ---- Reductions ----

// Neighbours first, then pairs of them, and so on: the order that warp.cuh documents.
float sum_in_order(std::span<const float> values) {
  if (values.size() == 1) return values[0];
  return sum_in_order(values.first(values.size() / 2)) +
         sum_in_order(values.last(values.size() / 2));
}

float largest(std::span<const float> values) {
  float result = values[0];
  for (const float value : values) result = std::fmax(result, value);
  return result;
}

bool same(float a, float b) {
  return std::bit_cast<std::uint32_t>(a) == std::bit_cast<std::uint32_t>(b) ||
         (std::isnan(a) && std::isnan(b));
}

TEST_CASE("reductions are the same bits in every lane, in the order they promise",
          "[common][warp]") {
  using cubinet::test_warp::Result;
  RuntimeFixture fixture;
  Driver& gpu = fixture.gpu();
  std::mt19937_64 random(run_seed());
  std::normal_distribution<float> normal;
  std::vector<float> values(256 * 100);
  for (float& value : values) value = normal(random) * std::exp2(static_cast<float>(random() % 60));
  // A NaN in some warps, and a quad and a warp of nothing else.
  for (std::size_t i = 0; i < 40; ++i) {
    values[256 * i + random() % 256] = std::numeric_limits<float>::quiet_NaN();
    if (i < 4) values[i] = std::numeric_limits<float>::quiet_NaN();
    if (i < 32) values[64 + i] = std::numeric_limits<float>::quiet_NaN();
  }
  const auto input = DeviceBuffer::of<float>(gpu, values);
  const DeviceBuffer results(gpu, values.size() * sizeof(Result));
  synchronize(gpu);
  fixture.runtime()
      .get_kernel("test_warp", {})
      .launch({100}, {256}, nullptr,
              cubinet::test_warp::Params{input.as<float>(), results.as<Result>()});
  synchronize(gpu);
  const auto got = results.to_vector<Result>();
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto quad = std::span(values).subspan(i / 4 * 4, 4);
    const auto warp = std::span(values).subspan(i / 32 * 32, 32);
    const bool right =
        same(got[i].quad_sum, sum_in_order(quad)) && same(got[i].warp_sum, sum_in_order(warp)) &&
        same(got[i].quad_max, largest(quad)) && same(got[i].warp_max, largest(warp)) &&
        got[i].uniform == 7 * (i / 32 * 32) &&
        got[i].uniform_signed == -static_cast<int>(i / 32 * 32);
    wrong += right ? 0U : 1U;
  }
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace jit::test
