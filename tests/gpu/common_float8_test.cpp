// Conversions to 8-bit floats: the instruction and the integer code against the host's codec.
#include <array>
#include <atomic>
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>
#include <thread>

#include "gpu/runtime_fixture.hpp"
#include "kernels/reference/element.hpp"
#include "test_float8/params.h"

namespace jit::test {
namespace {

using reference::FloatFormat;

struct Codes {
  std::vector<std::uint8_t> e4m3, e5m2, e4m3_integer, e5m2_integer, e4m3_word;
};

Codes convert(RuntimeFixture& fixture, const std::vector<float>& values) {
  Driver& gpu = fixture.gpu();
  const Kernel kernel = fixture.runtime().get_kernel("float8", {});
  const auto input = DeviceBuffer::of<float>(gpu, values);
  std::array<DeviceBuffer, 5> outputs;
  for (DeviceBuffer& output : outputs) output = DeviceBuffer(gpu, values.size());
  Float8Params params{};
  params.values = input.as<float>();
  params.e4m3 = outputs[0].as<std::uint8_t>();
  params.e5m2 = outputs[1].as<std::uint8_t>();
  params.e4m3_integer = outputs[2].as<std::uint8_t>();
  params.e5m2_integer = outputs[3].as<std::uint8_t>();
  params.e4m3_word = outputs[4].as<std::uint8_t>();
  params.count = static_cast<std::uint32_t>(values.size());
  synchronize(gpu);
  kernel.launch({(params.count + 255) / 256}, {256}, nullptr, params);
  synchronize(gpu);
  return {outputs[0].to_vector<std::uint8_t>(), outputs[1].to_vector<std::uint8_t>(),
          outputs[2].to_vector<std::uint8_t>(), outputs[3].to_vector<std::uint8_t>(),
          outputs[4].to_vector<std::uint8_t>()};
}

bool is_nan_code(const FloatFormat& format, std::uint8_t code) {
  return std::isnan(reference::decode(format, code));
}

bool is_right(const FloatFormat& format, float value, std::uint8_t code) {
  if (std::isnan(value)) return is_nan_code(format, code);
  return code ==
         reference::encode(format, static_cast<double>(value), reference::Overflow::kSaturate);
}

bool all_right(float value, const Codes& codes, std::size_t i) {
  return is_right(reference::kE4M3Format, value, codes.e4m3[i]) &&
         is_right(reference::kE5M2Format, value, codes.e5m2[i]) &&
         is_right(reference::kE4M3Format, value, codes.e4m3_integer[i]) &&
         is_right(reference::kE5M2Format, value, codes.e5m2_integer[i]) &&
         codes.e4m3_word[i] == codes.e4m3[i];
}

// Compares on all cores. Returns: how many values have a wrong code, and the first of them.
struct Mismatches {
  std::size_t count = 0;
  std::uint32_t first_bits = 0;
};
Mismatches compare(const std::vector<float>& values, const Codes& codes) {
  const std::size_t parts = std::max(1U, std::thread::hardware_concurrency());
  std::atomic<std::size_t> count{0};
  std::atomic<std::uint32_t> first_bits{0};
  std::vector<std::thread> threads;
  for (std::size_t part = 0; part < parts; ++part) {
    threads.emplace_back([&, part] {
      const std::size_t end = values.size() * (part + 1) / parts;
      for (std::size_t i = values.size() * part / parts; i < end; ++i) {
        if (all_right(values[i], codes, i)) continue;
        first_bits = std::bit_cast<std::uint32_t>(values[i]);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return {count, first_bits};
}

void check(RuntimeFixture& fixture, std::vector<float> values) {
  while (values.size() % 4 != 0) values.push_back(0.0F);
  const Mismatches found = compare(values, convert(fixture, values));
  CAPTURE(found.first_bits);
  CHECK(found.count == 0);
}

// Every code's value, every tie between neighbours and the floats on either side of it.
std::vector<float> ties(const FloatFormat& format) {
  std::vector<float> values;
  const std::uint32_t largest = reference::largest_code(format);
  for (std::uint32_t code = 0; code <= largest; ++code) {
    const double low = reference::decode(format, code);
    // Past the end, the tie with the value that would be next.
    const double high = code < largest ? reference::decode(format, code + 1)
                                       : 2 * low - reference::decode(format, code - 1);
    const auto tie = static_cast<float>((low + high) / 2);
    for (const float value : {static_cast<float>(low), tie, std::nextafter(tie, 0.0F),
                              std::nextafter(tie, std::numeric_limits<float>::infinity())}) {
      values.push_back(value);
      values.push_back(-value);
    }
  }
  return values;
}

TEST_CASE("every tie between 8-bit floats goes to the even one", "[common][float8]") {
  RuntimeFixture fixture;
  check(fixture, ties(reference::kE4M3Format));
  check(fixture, ties(reference::kE5M2Format));
}

TEST_CASE("every bf16 and every fp16 value becomes the right 8-bit floats", "[common][float8]") {
  RuntimeFixture fixture;
  for (const FloatFormat& format : {reference::kBF16Format, reference::kF16Format}) {
    std::vector<float> values;
    for (std::uint32_t code = 0; code <= 0xFFFF; ++code) {
      values.push_back(static_cast<float>(reference::decode(format, code)));
    }
    check(fixture, std::move(values));
  }
}

TEST_CASE("one float in 256 of all there are becomes the right 8-bit floats", "[common][float8]") {
  RuntimeFixture fixture;
  std::vector<float> values(std::size_t{1} << 24);
  const auto low_bits = static_cast<std::uint32_t>(run_seed() % 256);
  for (std::uint32_t i = 0; i < values.size(); ++i) {
    values[i] = std::bit_cast<float>(i << 8 | low_bits);
  }
  check(fixture, std::move(values));
}

TEST_CASE("a wrong code is found", "[common][float8]") {
  RuntimeFixture fixture;
  const std::vector<float> values{1.0F, -3.0F, 0.25F, 448.0F};
  Codes codes = convert(fixture, values);
  CHECK(compare(values, codes).count == 0);
  codes.e5m2_integer[2] ^= 1U;
  CHECK(compare(values, codes).count == 1);
}

bool is_value(const FloatFormat& format, std::uint32_t code, float value) {
  const double expected = reference::decode(format, code);
  if (std::isnan(expected)) return std::isnan(value);
  return std::bit_cast<std::uint32_t>(value) ==
         std::bit_cast<std::uint32_t>(static_cast<float>(expected));
}

TEST_CASE("every pair of 8-bit codes becomes its values", "[common][float8]") {
  RuntimeFixture fixture;
  Driver& gpu = fixture.gpu();
  constexpr std::uint32_t kPairs = 65536;
  const auto poison = std::vector<float>(std::size_t{4} * kPairs, 0.1F);
  const auto e4m3_values = DeviceBuffer::of<float>(gpu, poison);
  const auto e5m2_values = DeviceBuffer::of<float>(gpu, poison);
  const auto word_values = DeviceBuffer::of<float>(gpu, poison);
  synchronize(gpu);
  fixture.runtime()
      .get_kernel("test_float8", {})
      .launch({256}, {256}, nullptr,
              cubinet::test_float8::Params{e4m3_values.as<float>(), e5m2_values.as<float>(),
                                           word_values.as<float>()});
  synchronize(gpu);
  const auto e4m3 = e4m3_values.to_vector<float>();
  const auto e5m2 = e5m2_values.to_vector<float>();
  const auto word = word_values.to_vector<float>();
  std::size_t wrong = 0;
  for (std::uint32_t i = 0; i < kPairs; ++i) {
    const std::array<std::uint32_t, 4> codes{i % 256, i / 256, i / 256, i % 256};
    for (std::uint32_t k = 0; k < 4; ++k) {
      bool right = is_value(reference::kE4M3Format, codes[k], word[4 * i + k]);
      if (k < 2) right = right && is_value(reference::kE4M3Format, codes[k], e4m3[2 * i + k]);
      if (k < 2) right = right && is_value(reference::kE5M2Format, codes[k], e5m2[2 * i + k]);
      wrong += right ? 0U : 1U;
    }
  }
  CHECK(wrong == 0);
}

}  // namespace
}  // namespace jit::test
