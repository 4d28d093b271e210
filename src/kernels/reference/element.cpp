#include "kernels/reference/element.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>

namespace jit::inline v1::reference {

namespace {

std::uint32_t mantissa_mask(const FloatFormat& format) noexcept {
  return (1U << format.mantissa_bits) - 1U;
}

std::uint32_t exponent_mask(const FloatFormat& format) noexcept {
  return (1U << format.exponent_bits) - 1U;
}

std::uint32_t sign_bit(const FloatFormat& format) noexcept {
  return 1U << (format.exponent_bits + format.mantissa_bits);
}

std::uint32_t nan_code(const FloatFormat& format) noexcept {
  if (!format.has_infinity) return sign_bit(format) - 1U;
  return (exponent_mask(format) << format.mantissa_bits) | (1U << (format.mantissa_bits - 1));
}

bool is_nan(const FloatFormat& format, std::uint32_t magnitude) noexcept {
  if (!format.has_infinity) return magnitude == sign_bit(format) - 1U;
  return magnitude > (exponent_mask(format) << format.mantissa_bits);
}

// Both of a finite, non-negative value. Codes of one sign are in the order of their values, so the
// nearest is found by counting units of the value's own binade.
std::uint32_t encode_magnitude(const FloatFormat& format, double value) noexcept {
  int exponent = 0;
  std::frexp(value, &exponent);
  const int smallest_exponent = 1 - format.bias;
  const int binade = value == 0.0 ? smallest_exponent : std::max(exponent - 1, smallest_exponent);
  const double units = std::nearbyint(std::ldexp(value, format.mantissa_bits - binade));
  const double code =
      std::ldexp(static_cast<double>(binade - smallest_exponent), format.mantissa_bits) + units;
  return code > 4.0e9 ? 0xFFFFFFFFU : static_cast<std::uint32_t>(code);
}

template <class T>
T load_as(const void* data, std::uint64_t index) noexcept {
  T value;
  std::memcpy(&value, static_cast<const char*>(data) + index * sizeof(T), sizeof(T));
  return value;
}

template <class T>
void store_as(void* data, std::uint64_t index, T value) noexcept {
  std::memcpy(static_cast<char*>(data) + index * sizeof(T), &value, sizeof(T));
}

}  // namespace

double decode(const FloatFormat& format, std::uint32_t code) noexcept {
  const bool negative = (code & sign_bit(format)) != 0;
  const std::uint32_t magnitude = code & (sign_bit(format) - 1U);
  const std::uint32_t exponent = magnitude >> format.mantissa_bits;
  const std::uint32_t mantissa = magnitude & mantissa_mask(format);
  double value = 0.0;
  if (is_nan(format, magnitude)) {
    value = std::numeric_limits<double>::quiet_NaN();
  } else if (format.has_infinity && exponent == exponent_mask(format)) {
    value = std::numeric_limits<double>::infinity();
  } else {
    const std::uint32_t implicit = exponent == 0 ? 0U : 1U << format.mantissa_bits;
    const int power = (exponent == 0 ? 1 : static_cast<int>(exponent)) - format.bias;
    value = std::ldexp(static_cast<double>(mantissa + implicit), power - format.mantissa_bits);
  }
  return std::copysign(value, negative ? -1.0 : 1.0);
}

std::uint32_t largest_code(const FloatFormat& format) noexcept {
  if (!format.has_infinity) return sign_bit(format) - 2U;
  return (exponent_mask(format) << format.mantissa_bits) - 1U;
}

std::uint32_t encode(const FloatFormat& format, double value, Overflow overflow) noexcept {
  const std::uint32_t sign = std::signbit(value) ? sign_bit(format) : 0U;
  if (std::isnan(value)) return sign | nan_code(format);
  const std::uint32_t largest = largest_code(format);
  const std::uint32_t code =
      std::isinf(value) ? 0xFFFFFFFFU : encode_magnitude(format, std::fabs(value));
  if (code <= largest) return sign | code;
  return sign | (overflow == Overflow::kSaturate ? largest : largest + 1U);
}

std::int64_t steps_between(const FloatFormat& format, std::uint32_t a, std::uint32_t b) noexcept {
  const auto ordered = [&](std::uint32_t code) {
    const auto magnitude = static_cast<std::int64_t>(code & (sign_bit(format) - 1U));
    return (code & sign_bit(format)) != 0 ? -magnitude : magnitude;
  };
  const std::int64_t difference = ordered(a) - ordered(b);
  return difference < 0 ? -difference : difference;
}

const FloatFormat& format_of(DType type) {
  switch (type) {
    case DType::kF16: return kF16Format;
    case DType::kBF16: return kBF16Format;
    case DType::kE4M3: return kE4M3Format;
    case DType::kE5M2: return kE5M2Format;
    default: break;
  }
  throw Error(ErrorCode::kInvalidArgument, "find the format of " + std::string(name_of(type)) +
                                               ": not a float of at most 16 bits; pass f16, "
                                               "bf16, e4m3 or e5m2");
}

double load_element(DType type, const void* data, std::uint64_t index) {
  if (type == DType::kF32) return static_cast<double>(load_as<float>(data, index));
  const FloatFormat& format = format_of(type);
  if (bytes_of(type) == 1) return decode(format, load_as<std::uint8_t>(data, index));
  return decode(format, load_as<std::uint16_t>(data, index));
}

void store_element(DType type, void* data, std::uint64_t index, double value) {
  if (type == DType::kF32) return store_as(data, index, static_cast<float>(value));
  const FloatFormat& format = format_of(type);
  if (bytes_of(type) == 1) {
    const std::uint32_t code = encode(format, value, Overflow::kSaturate);
    return store_as(data, index, static_cast<std::uint8_t>(code));
  }
  store_as(data, index, static_cast<std::uint16_t>(encode(format, value)));
}

}  // namespace jit::inline v1::reference
