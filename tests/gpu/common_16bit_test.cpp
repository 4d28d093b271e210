// unpack_word and pack_word for fp16 and bf16, over every code and every tie between two.
#include <bit>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "gpu/runtime_fixture.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

struct WordsResult {
  std::vector<float> unpacked;
  std::vector<std::uint16_t> packed;
};

WordsResult run_words(RuntimeFixture& fixture, DType type, const std::vector<std::uint16_t>& codes,
                      const std::vector<float>& values) {
  Driver& gpu = fixture.gpu();
  const Kernel kernel = fixture.runtime().get_kernel("words", {{"ELEMENT", type}});
  const auto words = DeviceBuffer::of<std::uint16_t>(gpu, codes);
  const auto floats = DeviceBuffer::of<float>(gpu, values);
  DeviceBuffer unpacked(gpu, codes.size() * sizeof(float));
  DeviceBuffer packed(gpu, values.size() * sizeof(std::uint16_t));
  WordsParams params{};
  params.words = words.as<std::uint32_t>();
  params.unpacked = unpacked.as<float>();
  params.values = floats.as<float>();
  params.packed = packed.as<std::uint32_t>();
  params.count = static_cast<std::uint32_t>(codes.size() / 2);
  synchronize(gpu);
  kernel.launch({(params.count + 255) / 256}, {256}, nullptr, params);
  synchronize(gpu);
  return {unpacked.to_vector<float>(), packed.to_vector<std::uint16_t>()};
}

std::vector<std::uint16_t> all_codes() {
  std::vector<std::uint16_t> codes;
  for (std::uint32_t code = 0; code <= 0xFFFF; ++code) {
    codes.push_back(static_cast<std::uint16_t>(code));
  }
  return codes;
}

bool same_value(double expected, float got) {
  if (std::isnan(expected)) return std::isnan(got);
  return std::bit_cast<std::uint32_t>(static_cast<float>(expected)) ==
         std::bit_cast<std::uint32_t>(got);
}

bool is_right(DType type, float value, std::uint16_t code) {
  const reference::FloatFormat& format = reference::format_of(type);
  if (std::isnan(value)) return std::isnan(reference::decode(format, code));
  return code == reference::encode(format, static_cast<double>(value));
}

// For each code, a float near it: at the tie with the next, or the floats beside the tie.
std::vector<float> near_ties(DType type, int side) {
  const reference::FloatFormat& format = reference::format_of(type);
  std::vector<float> values;
  for (const std::uint16_t code : all_codes()) {
    const double low = reference::decode(format, code);
    const double high = reference::decode(format, (code & 0x7FFFU) == 0x7FFFU ? code : code + 1U);
    auto value = static_cast<float>((low + high) / 2);
    if (side != 0) {
      value = std::nextafter(value, static_cast<float>(side) * std::numeric_limits<float>::max());
    }
    values.push_back(value);
  }
  return values;
}

TEST_CASE("16-bit floats unpack exactly and pack to the nearest", "[common][16bit]") {
  RuntimeFixture fixture;
  const std::vector<std::uint16_t> codes = all_codes();
  for (const DType type : {f16, bf16}) {
    for (const int side : {-1, 0, 1}) {
      const std::vector<float> values = near_ties(type, side);
      const WordsResult result = run_words(fixture, type, codes, values);
      std::size_t wrong_unpacked = 0;
      std::size_t wrong_packed = 0;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        const double expected = reference::decode(reference::format_of(type), codes[i]);
        wrong_unpacked += !same_value(expected, result.unpacked[i]);
        wrong_packed += !is_right(type, values[i], result.packed[i]);
      }
      CAPTURE(name_of(type), side);
      CHECK(wrong_unpacked == 0);
      CHECK(wrong_packed == 0);
    }
  }
}

TEST_CASE("a 16-bit float survives unpacking and packing", "[common][16bit]") {
  RuntimeFixture fixture;
  const std::vector<std::uint16_t> codes = all_codes();
  for (const DType type : {f16, bf16}) {
    const std::vector<float> zeros(codes.size());
    const std::vector<float> unpacked = run_words(fixture, type, codes, zeros).unpacked;
    const std::vector<std::uint16_t> again = run_words(fixture, type, codes, unpacked).packed;
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const bool nan = std::isnan(unpacked[i]);
      wrong += !nan && again[i] != codes[i];
    }
    CAPTURE(name_of(type));
    CHECK(wrong == 0);
  }
}

}  // namespace
}  // namespace jit::test
