#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "kernels/reference/element.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace {

using jit::reference::decode;
using jit::reference::encode;
using jit::reference::FloatFormat;
using jit::reference::kBF16Format;
using jit::reference::kE4M3Format;
using jit::reference::kE5M2Format;
using jit::reference::kF16Format;
using jit::reference::Overflow;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::uint32_t codes_of(const FloatFormat& format) {
  return 1U << (1 + format.exponent_bits + format.mantissa_bits);
}

// Number of codes that decode and encode to something else; any NaN may become the canonical one.
int count_broken_round_trips(const FloatFormat& format) {
  int broken = 0;
  for (std::uint32_t code = 0; code < codes_of(format); ++code) {
    const double value = decode(format, code);
    const std::uint32_t back = encode(format, value);
    const bool same = std::isnan(value) ? std::isnan(decode(format, back)) : back == code;
    if (!same) ++broken;
  }
  return broken;
}

// Walks every pair of neighbouring finite codes: a hair below the middle goes down, a hair above
// goes up, and the middle goes to the even code.
int count_wrong_roundings(const FloatFormat& format) {
  int wrong = 0;
  for (std::uint32_t code = 0; code < largest_code(format); ++code) {
    const double middle = (decode(format, code) + decode(format, code + 1)) / 2;
    const std::uint32_t even = code % 2 == 0 ? code : code + 1;
    if (encode(format, std::nextafter(middle, 0.0)) != code) ++wrong;
    if (encode(format, std::nextafter(middle, kInfinity)) != code + 1) ++wrong;
    if (encode(format, middle) != even) ++wrong;
    if (decode(format, encode(format, -middle)) != -decode(format, even)) ++wrong;
  }
  return wrong;
}

TEST_CASE("every code of every format survives decoding and encoding", "[kernels]") {
  CHECK(count_broken_round_trips(kE4M3Format) == 0);
  CHECK(count_broken_round_trips(kE5M2Format) == 0);
  CHECK(count_broken_round_trips(kF16Format) == 0);
  CHECK(count_broken_round_trips(kBF16Format) == 0);
}

TEST_CASE("encoding rounds to the nearest code and ties to even", "[kernels]") {
  CHECK(count_wrong_roundings(kE4M3Format) == 0);
  CHECK(count_wrong_roundings(kE5M2Format) == 0);
  CHECK(count_wrong_roundings(kF16Format) == 0);
  CHECK(count_wrong_roundings(kBF16Format) == 0);
}

TEST_CASE("e4m3 has the values of the OCP specification", "[kernels]") {
  CHECK(decode(kE4M3Format, 0x7E) == 448.0);
  CHECK(decode(kE4M3Format, 0x08) == std::ldexp(1.0, -6));
  CHECK(decode(kE4M3Format, 0x01) == std::ldexp(1.0, -9));
  CHECK(decode(kE4M3Format, 0x38) == 1.0);
  CHECK(decode(kE4M3Format, 0xC4) == -3.0);
  CHECK(std::isnan(decode(kE4M3Format, 0x7F)));
  CHECK(std::isnan(decode(kE4M3Format, 0xFF)));
  CHECK(std::signbit(decode(kE4M3Format, 0x80)));
}

TEST_CASE("the other formats have the values of their specifications", "[kernels]") {
  CHECK(decode(kE5M2Format, 0x7B) == 57344.0);
  CHECK(decode(kE5M2Format, 0x7C) == kInfinity);
  CHECK(decode(kF16Format, 0x7BFF) == 65504.0);
  CHECK(decode(kF16Format, 0x0001) == std::ldexp(1.0, -24));
  CHECK(decode(kF16Format, 0xFC00) == -kInfinity);
  CHECK(decode(kBF16Format, 0x3F80) == 1.0);
  CHECK(decode(kBF16Format, 0x0001) == std::ldexp(1.0, -133));
  CHECK(decode(kBF16Format, 0x7F80) == kInfinity);
}

TEST_CASE("a value too large saturates or overflows, as asked", "[kernels]") {
  CHECK(encode(kE4M3Format, 1e9, Overflow::kSaturate) == 0x7E);
  CHECK(encode(kE4M3Format, -kInfinity, Overflow::kSaturate) == 0xFE);
  CHECK(encode(kE4M3Format, 464.0, Overflow::kSaturate) == 0x7E);
  CHECK(encode(kE4M3Format, 463.9, Overflow::kToInfinity) == 0x7E);
  CHECK(encode(kE4M3Format, 464.1, Overflow::kToInfinity) == 0x7F);
  CHECK(encode(kE5M2Format, 1e9, Overflow::kSaturate) == 0x7B);
  CHECK(encode(kE5M2Format, 1e9, Overflow::kToInfinity) == 0x7C);
  CHECK(encode(kF16Format, 65520.0) == 0x7C00);
  CHECK(encode(kBF16Format, -1e300) == 0xFF80);
}

TEST_CASE("steps count representable values and see one zero", "[kernels]") {
  CHECK(steps_between(kE4M3Format, 0x00, 0x80) == 0);
  CHECK(steps_between(kE4M3Format, 0x01, 0x81) == 2);
  CHECK(steps_between(kE4M3Format, 0x7E, 0x78) == 6);
  CHECK(steps_between(kBF16Format, 0x3F80, 0x3F81) == 1);
}

// A problem of one token and one head of eight bf16 elements, all of one value on each side.
struct TinyMerge {
  TinyMerge(double prefix_value, double suffix_value, float prefix_lse, float suffix_lse)
      : prefix(kSize), suffix(kSize), lses{prefix_lse, suffix_lse} {
    for (std::uint32_t i = 0; i < kSize; ++i) {
      prefix[i] = static_cast<std::uint16_t>(encode(kBF16Format, prefix_value));
      suffix[i] = static_cast<std::uint16_t>(encode(kBF16Format, suffix_value));
    }
    problem.num_tokens = problem.num_heads = problem.num_context_tokens = 1;
    problem.head_size = kSize;
    problem.input_head_stride = problem.output_head_stride = kSize;
    problem.prefix_output = prefix.data();
    problem.suffix_output = suffix.data();
    problem.prefix_lse = &lses[0];
    problem.suffix_lse = &lses[1];
  }

  jit::reference::MergeCheck check(double value, float lse) const {
    if (problem.fp8_output) {
      const std::vector<std::uint8_t> output(
          kSize, static_cast<std::uint8_t>(encode(kE4M3Format, value, Overflow::kSaturate)));
      return check_merge(problem, output.data(), &lse);
    }
    const std::vector<std::uint16_t> output(kSize,
                                            static_cast<std::uint16_t>(encode(kBF16Format, value)));
    return check_merge(problem, output.data(), &lse);
  }

  static constexpr std::uint32_t kSize = 8;
  std::vector<std::uint16_t> prefix;
  std::vector<std::uint16_t> suffix;
  float lses[2];
  jit::reference::MergeProblem problem;
};

TEST_CASE("the reference accepts the merge and names what is not", "[kernels]") {
  const TinyMerge merge(1.0, 3.0, 0.0F, 0.0F);
  const float lse = std::log(2.0F);
  CHECK(merge.check(2.0, lse).identical == TinyMerge::kSize);
  CHECK(merge.check(2.0, lse).passed(merge.problem));
  CHECK_FALSE(merge.check(2.25, lse).passed(merge.problem));
  CHECK(merge.check(2.25, lse).first_failure.starts_with("token 0, head 0: element 0 is 2.25"));
  CHECK(merge.check(2.0, lse + 1e-5F).wrong_lse == 1);
}

TEST_CASE("an empty side is ignored and the other copied bit for bit", "[kernels]") {
  const float none = -std::numeric_limits<float>::infinity();
  const TinyMerge prefix_empty(std::nan(""), 3.0, -none, 1.5F);
  CHECK(prefix_empty.check(3.0, 1.5F).passed(prefix_empty.problem));
  CHECK_FALSE(prefix_empty.check(3.015625, 1.5F).passed(prefix_empty.problem));
  const TinyMerge both_empty(-0.0, 3.0, none, -none);
  CHECK(both_empty.check(-0.0, none).passed(both_empty.problem));
  CHECK_FALSE(both_empty.check(0.0, none).passed(both_empty.problem));
  CHECK_FALSE(both_empty.check(-0.0, 0.0F).passed(both_empty.problem));
}

TEST_CASE("a token without context is its suffix, with the LSE as given", "[kernels]") {
  TinyMerge merge(1.0, 3.0, 5.0F, std::numeric_limits<float>::infinity());
  merge.problem.num_context_tokens = 0;
  CHECK(merge.check(3.0, std::numeric_limits<float>::infinity()).passed(merge.problem));
  CHECK_FALSE(merge.check(1.0, 5.0F).passed(merge.problem));
}

TEST_CASE("fp8 output is scaled, saturated and never a NaN code", "[kernels]") {
  TinyMerge merge(1.0, 3.0, 0.0F, 0.0F);
  const float lse = std::log(2.0F);
  merge.problem.fp8_output = true;
  merge.problem.output_scale = 0.5F;
  CHECK(merge.check(4.0, lse).passed(merge.problem));
  CHECK_FALSE(merge.check(5.0, lse).passed(merge.problem));
  CHECK_FALSE(merge.check(std::nan(""), lse).passed(merge.problem));
  merge.problem.output_scale = 0.0F;
  CHECK(merge.check(448.0, lse).passed(merge.problem));
  merge.problem.output_scale = std::nanf("");
  CHECK(merge.check(448.0, lse).passed(merge.problem));
  CHECK_FALSE(merge.check(-448.0, lse).passed(merge.problem));
}

}  // namespace
