// The codecs of element.hpp again, several times as fast, for references with many elements.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "jit/abi.hpp"
#include "kernels/reference/element.hpp"

namespace jit::inline v1::reference {

namespace detail {

inline int exponent_of(double value) noexcept {
  return static_cast<int>(std::bit_cast<std::uint64_t>(value) >> 52 & 0x7FFU) - 1023;
}
inline double power_of_two(int exponent) noexcept {
  return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
}

}  // namespace detail

// decode(format, code): the code's exponent and mantissa are those of a float64 whose bias is
// larger.
inline double value_of(const FloatFormat& format, std::uint32_t code) noexcept {
  const int bits = format.exponent_bits + format.mantissa_bits;
  const std::uint32_t magnitude = code & ((1U << bits) - 1U);
  const std::uint32_t special = ((1U << format.exponent_bits) - 1U) << format.mantissa_bits;
  if (format.has_infinity ? magnitude >= special : magnitude == (1U << bits) - 1U) {
    return decode(format, code);
  }
  const auto shifted = static_cast<std::uint64_t>(magnitude) << (52 - format.mantissa_bits);
  const double value = std::bit_cast<double>(shifted) * detail::power_of_two(1023 - format.bias);
  return (code >> bits & 1U) != 0 ? -value : value;
}

// The distance between neighbouring values of the format around `value`.
inline double unit_at(const FloatFormat& format, double value) noexcept {
  const int smallest = 1 - format.bias;
  const int exponent = detail::exponent_of(value);
  return detail::power_of_two((exponent > smallest ? exponent : smallest) - format.mantissa_bits);
}

// decode(format, encode(format, value, overflow)).
inline double round_to(const FloatFormat& format, double value,
                       Overflow overflow = Overflow::kToInfinity) noexcept {
  if (std::isnan(value)) return value;
  // Adding 1.5 * 2^52 leaves the units; they are fewer than 2^12, and powers of two divide exactly.
  constexpr double kUnits = 0x1.8p52;
  const double unit = unit_at(format, value);
  const double rounded = std::isinf(value) ? value : ((value / unit + kUnits) - kUnits) * unit;
  const int top = (1 << format.exponent_bits) - 1 - format.bias - (format.has_infinity ? 1 : 0);
  const int ones = (2 << format.mantissa_bits) - (format.has_infinity ? 1 : 2);
  const double largest = ones * detail::power_of_two(top - format.mantissa_bits);
  if (std::fabs(rounded) <= largest) return std::copysign(rounded, value);
  if (overflow == Overflow::kSaturate) return std::copysign(largest, value);
  using Limits = std::numeric_limits<double>;
  return std::copysign(format.has_infinity ? Limits::infinity() : Limits::quiet_NaN(), value);
}

}  // namespace jit::inline v1::reference
