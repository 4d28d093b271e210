// The arithmetic of scales of groups, as its text says it, against division and float64.
#include "common/group_scale.cuh"

#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "kernels/reference/element.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace {

constexpr std::uint32_t kMantissas = 1U << 23;
constexpr float kSmallest = 1e-10F;
constexpr float kLargest = std::numeric_limits<float>::max();

struct Wrong {
  std::uint64_t quotients = 0;  // not as division rounds
  std::uint64_t powers = 0;     // not the smallest power of two that is not below
  std::uint64_t inverses = 0;   // of powers of two, not exact
  std::uint64_t largest = 0;    // the code of the largest magnitude is not 448
  bool operator==(const Wrong&) const = default;
};

void check(float absmax, Wrong& wrong) {
  const cubinet::GroupScale plain = cubinet::scale_of_group<false>(absmax);
  const cubinet::GroupScale power = cubinet::scale_of_group<true>(absmax);
  if (plain.scale != absmax / 448.0F) ++wrong.quotients;
  const double exact = static_cast<double>(absmax) / 448.0;
  const auto up = static_cast<double>(power.scale);
  if (!(exact <= up && up < 2 * exact)) ++wrong.powers;
  if (power.scale * power.inverse != 1.0F) ++wrong.inverses;
  // 432 is the middle of the two largest codes, and a tie goes to the even one, which is 448.
  if (absmax * plain.inverse < 432.0F || absmax * power.inverse > 448.0F) ++wrong.largest;
}

// Every mantissa of one exponent that absmax_of_group may give.
Wrong check_exponent(std::uint32_t exponent) {
  Wrong wrong;
  for (std::uint32_t mantissa = 0; mantissa < kMantissas; ++mantissa) {
    const float absmax = __uint_as_float(exponent << 23 | mantissa);
    if (absmax >= kSmallest) check(absmax, wrong);
  }
  return wrong;
}

constexpr std::uint32_t kFirstExponent = 127 - 34;
constexpr std::uint32_t kLastExponent = 254;

TEST_CASE("scales are right for every mantissa of the smallest, a middle and the largest exponent",
          "[kernels]") {
  STATIC_CHECK(kSmallest >= 0x1p-34F);
  for (const std::uint32_t exponent : {kFirstExponent, 127U, kLastExponent}) {
    CAPTURE(exponent);
    CHECK((check_exponent(exponent) == Wrong{}));
  }
}

TEST_CASE("scales are right for every fp32 there is", "[kernels][slow]") {
  for (std::uint32_t exponent = kFirstExponent; exponent <= kLastExponent; ++exponent) {
    CAPTURE(exponent);
    CHECK((check_exponent(exponent) == Wrong{}));
  }
}

TEST_CASE("power-of-two scales step right above 448 * 2^k, and fit UE8M0", "[kernels]") {
  for (int k = -42; k <= 119; ++k) {
    const float edge = std::ldexp(448.0F, k);
    CAPTURE(k);
    if (edge >= kSmallest) CHECK(cubinet::scale_of_group<true>(edge).scale == std::ldexp(1.0F, k));
    const float above = std::nextafter(edge, kLargest);
    if (above >= kSmallest) {
      CHECK(cubinet::scale_of_group<true>(above).scale == std::ldexp(1.0F, k + 1));
    }
  }
  CHECK(cubinet::scale_of_group<true>(kSmallest).scale == 0x1p-42F);
  CHECK(cubinet::scale_of_group<true>(kLargest).scale == 0x1p120F);
}

TEST_CASE("device text and reference agree on the scale", "[kernels]") {
  for (std::uint32_t bits = __float_as_uint(kSmallest); bits <= __float_as_uint(kLargest);
       bits += 65'521) {
    const float absmax = __uint_as_float(bits);
    const auto exact = static_cast<double>(absmax);
    REQUIRE(cubinet::scale_of_group<false>(absmax).scale ==
            jit::reference::scale_of_group(exact, false));
    REQUIRE(cubinet::scale_of_group<true>(absmax).scale ==
            jit::reference::scale_of_group(exact, true));
  }
}

// What the lanes of one warp get for one value each.
template <int kLanes>
std::array<float, 32> absmax_of(const std::array<float, 32>& values) {
  std::array<float, 32> result{};
  jit::test::Warp::run(0, [&] {
    const unsigned lane = threadIdx.x;
    result[lane] = cubinet::absmax_of_group<kLanes, 1>(&values[lane]);
  });
  return result;
}

TEST_CASE("every lane gets the largest magnitude of its own group", "[kernels]") {
  std::array<float, 32> values{};
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = (i % 3 == 0 ? -1.0F : 1.0F) * static_cast<float>((i * 7) % 32 + 1);
  }
  const auto expected = [&](std::size_t lane, std::size_t lanes) {
    float largest = 0.0F;
    for (std::size_t i = lane / lanes * lanes; i < (lane / lanes + 1) * lanes; ++i) {
      largest = std::fmax(largest, std::fabs(values[i]));
    }
    return largest;
  };
  for (std::size_t lane = 0; lane < values.size(); ++lane) {
    CAPTURE(lane);
    CHECK(absmax_of<1>(values)[lane] == expected(lane, 1));
    CHECK(absmax_of<8>(values)[lane] == expected(lane, 8));
    CHECK(absmax_of<16>(values)[lane] == expected(lane, 16));
    CHECK(absmax_of<32>(values)[lane] == expected(lane, 32));
  }
}

TEST_CASE("NaNs, infinities and zeros leave a finite scale", "[kernels]") {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  std::array<float, 32> values{};
  CHECK(absmax_of<8>(values)[0] == kSmallest);
  values[1] = std::numeric_limits<float>::quiet_NaN();
  CHECK(absmax_of<8>(values)[0] == kSmallest);
  values[2] = -0.5F;
  CHECK(absmax_of<8>(values)[7] == 0.5F);
  values[3] = -kInfinity;
  CHECK(absmax_of<8>(values)[0] == kLargest);
  CHECK(absmax_of<8>(values)[8] == kSmallest);
}

TEST_CASE("an exchange that not all lanes come to is found", "[kernels]") {
  const auto leave_early = [] {
    if (threadIdx.x == 5) return;
    const float value = 1.0F;
    (void)cubinet::absmax_of_group<8, 1>(&value);
  };
  CHECK_THROWS(jit::test::Warp::run(0, leave_early));
}

}  // namespace
