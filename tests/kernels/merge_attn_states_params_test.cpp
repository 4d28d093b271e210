#include "../../kernel_templates/merge_attn_states/params.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>

namespace {

using cubinet::merge_attn_states::blocks_of;
using cubinet::merge_attn_states::divide;
using cubinet::merge_attn_states::Divisor;
using cubinet::merge_attn_states::make_divisor;
using cubinet::merge_attn_states::rows_per_block;
using cubinet::merge_attn_states::Tile;

constexpr std::uint32_t kEnd = 1U << 31;

bool divides(const Divisor& by, std::uint64_t value) {
  if (value >= kEnd) return true;
  const auto small = static_cast<std::uint32_t>(value);
  return divide(small, by) == small / by.divisor;
}

// The quotient can only be wrong next to a multiple of the divisor.
bool divides_around(const Divisor& by, std::uint64_t quotient) {
  const std::uint64_t multiple = quotient * by.divisor;
  return divides(by, multiple) && divides(by, multiple + 1) &&
         divides(by, multiple + by.divisor - 1);
}

std::uint32_t count_wrong(std::uint32_t divisor, std::mt19937& random, int samples) {
  const Divisor by = make_divisor(divisor);
  const std::uint32_t last = (kEnd - 1) / divisor;
  std::uint32_t wrong = 0;
  for (const std::uint32_t quotient : {0U, 1U, 2U, last / 2, last > 1 ? last - 1 : 0U, last}) {
    if (!divides_around(by, quotient)) ++wrong;
  }
  for (int i = 0; i < samples; ++i) {
    if (!divides_around(by, random() % (last + 1ULL))) ++wrong;
  }
  return divides(by, kEnd - 1) ? wrong : wrong + 1;
}

TEST_CASE("the divisor is exact for every head count up to 65536", "[kernels]") {
  std::mt19937 random(36518);
  std::uint32_t wrong = 0;
  for (std::uint32_t divisor = 1; divisor <= 65536; ++divisor) {
    wrong += count_wrong(divisor, random, 16);
  }
  CHECK(wrong == 0);
}

TEST_CASE("the divisor is exact next to powers of two and for large divisors", "[kernels]") {
  std::mt19937 random(40930);
  std::uint32_t wrong = 0;
  for (std::uint32_t shift = 1; shift < 31; ++shift) {
    for (std::uint32_t divisor = (1U << shift) - 1; divisor <= (1U << shift) + 1; ++divisor) {
      wrong += count_wrong(divisor, random, 1000);
    }
  }
  for (int i = 0; i < 20000; ++i) {
    wrong += count_wrong(1 + static_cast<std::uint32_t>(random() % (kEnd - 1ULL)), random, 16);
  }
  wrong += count_wrong(kEnd - 1, random, 16);
  CHECK(wrong == 0);
}

TEST_CASE("the divisor is exact for every row of some head counts", "[kernels][slow]") {
  for (const std::uint32_t divisor : {1U, 3U, 7U, 48U, 127U, 641U}) {
    const Divisor by = make_divisor(divisor);
    std::uint32_t wrong = 0;
    for (std::uint32_t value = 0; value < kEnd; ++value) {
      if (divide(value, by) != value / divisor) ++wrong;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("a launch has a thread for every pack of every row", "[kernels]") {
  constexpr Tile kBF16{128, 2, 128};
  STATIC_CHECK(rows_per_block(kBF16) == 8);
  STATIC_CHECK(blocks_of(kBF16, 1, 4) == 1);
  STATIC_CHECK(blocks_of(kBF16, 4096, 128) == 65536);
  STATIC_CHECK(blocks_of(kBF16, 0, 128) == 0);
  // 96 elements are 12 packs: 10 rows take 120 of 128 threads.
  constexpr Tile kUneven{96, 2, 128};
  STATIC_CHECK(rows_per_block(kUneven) == 10);
  STATIC_CHECK(blocks_of(kUneven, 3, 7) == 3);
  constexpr Tile kTooSmall{1024, 4, 128};
  STATIC_CHECK(rows_per_block(kTooSmall) == 0);
}

}  // namespace
