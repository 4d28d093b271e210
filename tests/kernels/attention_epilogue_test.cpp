// What attention writes, by its own text on the host: every byte of the output, of the scales and
// of the LSEs against a plain computation, and nothing else.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "warp.hpp"  // first: what device code needs

#include "attention_shared/epilogue.cuh"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

namespace device = cubinet::attention;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
template <int COLUMNS, class Type, bool E4M3 = false, int GROUP = 0, bool UE8M0 = false>
struct Config {
  static constexpr int kHeadDimV = COLUMNS;
  using OUTPUT_TYPE = Type;
  static constexpr bool USE_FP8_OUTPUT = E4M3;
  static constexpr int FP8_GROUP_SIZE = GROUP;
  static constexpr bool USE_UE8M0_SCALES = UE8M0;
};
// NOLINTEND(readability-identifier-naming)

constexpr int kRows = 64;
constexpr std::byte kCanary{0xA5};

// What one warpgroup has.
template <class C>
struct Case {
  static constexpr int kGroups = C::FP8_GROUP_SIZE == 0 ? 0 : C::kHeadDimV / C::FP8_GROUP_SIZE;
  device::Rows rows{3, 0, 1};
  bool has_lse = true;
  bool is_head_major = false;  // the output, and likewise its scales
  std::vector<float> values = std::vector<float>(kRows * C::kHeadDimV);
  std::vector<float> factors = std::vector<float>(kRows);
  std::vector<float> lses = std::vector<float>(kRows);

  static constexpr int kHeads = 3;
  static constexpr int kTokens = kRows + 8;
  static constexpr std::size_t kElement = C::USE_FP8_OUTPUT ? 1 : sizeof(typename C::OUTPUT_TYPE);
  static constexpr int kPad = 16;  // elements after each row

  float value(int row, int column) const {
    const auto at = static_cast<std::size_t>(row * C::kHeadDimV + column);
    return values[at] * factors[static_cast<std::size_t>(row)];
  }
};

// Memory before and after. The strides are what tells where a row lies.
struct Images {
  std::vector<std::byte> out;
  std::vector<std::byte> lse;
  std::vector<std::byte> scales;
  bool operator==(const Images&) const = default;
};

template <class C>
Images poisoned() {
  using K = Case<C>;
  const auto bytes = [](std::size_t count) { return std::vector<std::byte>(count, kCanary); };
  return {bytes(K::kTokens * K::kHeads * (C::kHeadDimV + K::kPad) * K::kElement),
          bytes((K::kTokens * K::kHeads + 5) * sizeof(float)),
          bytes((K::kTokens + 3) * K::kHeads * (K::kGroups + 1) * sizeof(float))};
}

template <class C>
device::OutputMemory memory_of(const Case<C>& given, Images& images) {
  using K = Case<C>;
  constexpr int kRow = C::kHeadDimV + K::kPad;
  device::OutputMemory memory{};
  memory.out = images.out.data();
  memory.lse = given.has_lse ? reinterpret_cast<float*>(images.lse.data()) : nullptr;
  memory.group_scales = reinterpret_cast<float*>(images.scales.data());
  memory.out_token_stride = given.is_head_major ? kRow : kRow * K::kHeads;
  memory.out_head_stride = given.is_head_major ? kRow * K::kTokens : kRow;
  memory.lse_head_stride = K::kTokens + 1;
  memory.scale_token_stride = given.is_head_major ? 1 : K::kHeads * K::kGroups + 1;
  memory.scale_group_stride = given.is_head_major ? K::kTokens + 3 : 1;
  return memory;
}

template <class C>
void store_all(const Case<C>& given, Images& images) {
  const device::OutputMemory memory = memory_of(given, images);
  for (unsigned warp = 0; warp < 4; ++warp) {
    Warp::run(128 + warp * kLanes, [&] {
      const int lane = static_cast<int>(threadIdx.x % kLanes);
      const auto row_of = [&](int half) {
        return static_cast<std::size_t>(static_cast<int>(warp) * 16 + lane / 4 + 8 * half);
      };
      float accumulators[C::kHeadDimV / 2];
      for (int i = 0; i < C::kHeadDimV / 2; ++i) {
        const int column = 8 * (i / 4) + 2 * (lane % 4) + i % 2;
        const auto row = row_of(i / 2 % 2);
        accumulators[i] = given.values[row * C::kHeadDimV + static_cast<std::size_t>(column)];
      }
      const device::RowResults results{{given.factors[row_of(0)], given.factors[row_of(1)]},
                                       {given.lses[row_of(0)], given.lses[row_of(1)]}};
      device::store_rows<C>(accumulators, results, memory, given.rows);
    });
  }
}

// ---- The plain computation ----

float scale_of(float absmax, bool ue8m0) {
  const float scale = absmax / 448.0F;
  if (!ue8m0) return scale;
  int exponent = 0;
  const float mantissa = std::frexp(scale, &exponent);
  return std::ldexp(1.0F, mantissa == 0.5F ? exponent - 1 : exponent);
}

std::uint8_t e4m3_of(float value) {
  const double number = std::isnan(value) ? 448.0 : static_cast<double>(value);
  return static_cast<std::uint8_t>(
      reference::encode(reference::kE4M3Format, number, reference::Overflow::kSaturate));
}

void put(std::vector<std::byte>& image, long long element, const void* from, std::size_t bytes) {
  std::memcpy(image.data() + static_cast<std::size_t>(element) * bytes, from, bytes);
}

template <class C>
void put_element(std::vector<std::byte>& image, long long at, float value) {
  if constexpr (C::USE_FP8_OUTPUT) {
    const std::uint8_t code = e4m3_of(value);
    put(image, at, &code, 1);
  } else if constexpr (sizeof(typename C::OUTPUT_TYPE) == 4) {
    put(image, at, &value, 4);
  } else {
    const auto code = static_cast<std::uint16_t>(reference::encode(
        cubinet::format_of<typename C::OUTPUT_TYPE>(), static_cast<double>(value)));
    put(image, at, &code, 2);
  }
}

// The scale of a row's group from column `first` on.
template <class C>
float scale_of(const Case<C>& given, int row, int first) {
  float absmax = 1e-10F;
  for (int i = first; i < first + C::FP8_GROUP_SIZE; ++i) {
    absmax = std::fmax(absmax, std::fabs(given.value(row, i)));
  }
  return scale_of(std::min(absmax, std::numeric_limits<float>::max()), C::USE_UE8M0_SCALES);
}

template <class C>
void put_row(const Case<C>& given, int row, const device::OutputMemory& memory, Images& images) {
  constexpr int kGroup = C::FP8_GROUP_SIZE;
  const long long token = given.rows.first + row;
  const long long head = given.rows.head;
  const float lse = given.lses[static_cast<std::size_t>(row)];
  if (given.has_lse) put(images.lse, head * memory.lse_head_stride + token, &lse, 4);
  float inverse = 1.0F;
  for (int column = 0; column < C::kHeadDimV; ++column) {
    if (kGroup != 0 && column % std::max(kGroup, 1) == 0) {
      const float scale = scale_of(given, row, column);
      const long long group = head * Case<C>::kGroups + column / std::max(kGroup, 1);
      put(images.scales, token * memory.scale_token_stride + group * memory.scale_group_stride,
          &scale, 4);
      inverse = 1.0F / scale;
    }
    const long long at = token * memory.out_token_stride + head * memory.out_head_stride + column;
    put_element<C>(images.out, at, given.value(row, column) * inverse);
  }
}

template <class C>
Images expected_of(const Case<C>& given) {
  Images images = poisoned<C>();
  const device::OutputMemory memory = memory_of(given, images);
  for (int row = 0; row < std::min(given.rows.count, kRows); ++row) {
    put_row(given, row, memory, images);
  }
  return images;
}

// ---- Tests ----

template <class C>
void fill(std::mt19937_64& random, Case<C>& given) {
  std::normal_distribution<float> normal;
  for (float& value : given.values) value = normal(random);
  for (float& factor : given.factors) factor = std::exp(3 * normal(random));
  for (float& lse : given.lses) lse = normal(random);
  const auto any_value = [&]() -> float& { return given.values[random() % given.values.size()]; };
  const float inf = std::numeric_limits<float>::infinity();
  for (const float special : {inf, -inf, 1e30F, -1e30F, -0.0F}) any_value() = special;
  for (int i = 0; i < 9; ++i) any_value() = std::numeric_limits<float>::quiet_NaN();
  // In the first row middles of two codes after a division by the scale of the largest one: a
  // product with its reciprocal falls beside them.
  const float scale = static_cast<float>(64 + random() % 64) / 64;
  given.factors[0] = 1.0F;
  for (std::size_t i = 0; i < C::kHeadDimV; ++i) {
    given.values[i] = scale * (i % 64 == 0 ? 448.0F : static_cast<float>(17 + 2 * (random() % 8)));
  }
  // A row of zeros, as one that sees no key.
  const auto row = 1 + random() % (kRows - 1);
  std::fill_n(given.values.begin() + static_cast<std::ptrdiff_t>(row * C::kHeadDimV), C::kHeadDimV,
              0.0F);
  given.lses[row] = -inf;
}

template <class C>
void check_kind(std::mt19937_64& random) {
  for (const int count : {64, 100, 0, -5, 1, 7, 8, 9, 15, 16, 17, 33, 63}) {
    Case<C> given;
    fill(random, given);
    given.rows.count = count;
    given.rows.head = static_cast<int>(random() % Case<C>::kHeads);
    given.has_lse = random() % 3 != 0;
    given.is_head_major = random() % 2 == 0;
    Images images = poisoned<C>();
    store_all(given, images);
    const Images expected = expected_of(given);
    CAPTURE(count, C::kHeadDimV, C::USE_FP8_OUTPUT, C::FP8_GROUP_SIZE, given.is_head_major);
    CHECK((images.out == expected.out));
    CHECK((images.lse == expected.lse));
    CHECK((images.scales == expected.scales));
    CHECK((images == poisoned<C>()) == (count <= 0));
  }
}

TEST_CASE("attention writes its rows in 16 and 32 bits", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_kind<Config<128, cubinet::bf16>>(random);
  check_kind<Config<128, cubinet::f16>>(random);
  check_kind<Config<128, float>>(random);
  check_kind<Config<64, cubinet::bf16>>(random);
  check_kind<Config<64, float>>(random);
}

TEST_CASE("attention writes its rows in e4m3, by tensor and by group", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_kind<Config<128, cubinet::bf16, true>>(random);
  check_kind<Config<64, cubinet::bf16, true>>(random);
  check_kind<Config<128, cubinet::bf16, true, 128>>(random);
  check_kind<Config<128, cubinet::bf16, true, 64>>(random);
  check_kind<Config<64, cubinet::bf16, true, 64>>(random);
  check_kind<Config<128, cubinet::bf16, true, 128, true>>(random);
  check_kind<Config<128, cubinet::bf16, true, 64, true>>(random);
}

}  // namespace
}  // namespace jit::test
