// Plain C++ codecs of the element types that kernels store: fp16, bf16 and the two 8-bit floats.
//
// For references and checks on the host, where being obviously right matters more than speed.
// Encoding starts from a double and rounds once, to nearest, ties to even.
// Source: IEEE 754-2019, 3.4; OCP 8-bit floating point specification 1.0, section 5.
#pragma once

#include <cstdint>

#include "jit/abi.hpp"
#include "jit/value.hpp"

namespace jit::inline v1::reference {

// What encoding does beyond the largest finite value.
enum class Overflow : std::uint8_t { kToInfinity, kSaturate };

// FloatFormat describes a binary float of up to 16 bits with a sign.
struct FloatFormat {
  int exponent_bits = 0;
  int mantissa_bits = 0;
  int bias = 0;
  bool has_infinity = true;  // false: the top exponent holds numbers, and only all-ones is NaN
};

inline constexpr FloatFormat kF16Format{5, 10, 15, true};
inline constexpr FloatFormat kBF16Format{8, 7, 127, true};
inline constexpr FloatFormat kE4M3Format{4, 3, 7, false};
inline constexpr FloatFormat kE5M2Format{5, 2, 15, true};

// The exact value of a code. NaN codes give a quiet NaN with the code's sign.
double decode(const FloatFormat& format, std::uint32_t code) noexcept;

// The code nearest to `value`. A NaN gives the format's canonical NaN with the value's sign.
// Infinities follow `overflow` like any value that is too large; kToInfinity in a format without
// an infinity gives NaN.
std::uint32_t encode(const FloatFormat& format, double value,
                     Overflow overflow = Overflow::kToInfinity) noexcept;

// The code of the largest finite value: 0x7E for e4m3 (448).
std::uint32_t largest_code(const FloatFormat& format) noexcept;

// Distance between two finite codes in representable steps; +0 and -0 are the same value.
std::int64_t steps_between(const FloatFormat& format, std::uint32_t a, std::uint32_t b) noexcept;

// The format of a floating type of at most 16 bits.
// Errors: kInvalidArgument for any other type.
const FloatFormat& format_of(DType type);

// Element `index` of an array of `type` (f32, f16, bf16, e4m3 or e5m2), as an exact double.
double load_element(DType type, const void* data, std::uint64_t index);

// Rounds `value` once and stores it; 8-bit floats saturate. A NaN is stored as a NaN.
void store_element(DType type, void* data, std::uint64_t index, double value);

}  // namespace jit::inline v1::reference
