#include "kernels/reference/tensor_core.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "kernels/reference/rounding.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr int kFractionBits = 13;
constexpr std::size_t kLanes = kMultiplyColumns;

bool is_finite(const double* values, std::size_t count) {
  // A sum of magnitudes is finite only if they all are.
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) sum += std::fabs(values[i]);
  return std::isfinite(sum);
}

bool all_finite(const Multiplication& of) {
  bool finite = true;
  for (std::size_t row = 0; row < of.rows; ++row) {
    finite = finite && is_finite(of.a + row * of.a_stride, of.depth) &&
             is_finite(of.c + row * of.c_stride, of.columns);
  }
  for (std::size_t k = 0; k < of.depth; ++k) {
    finite = finite && is_finite(of.b + k * of.b_stride, of.columns);
  }
  return finite;
}

// Elements `column` to `column + kLanes - 1` of a row.
void add_in_step(const Multiplication& of, std::size_t row, std::size_t column) {
  const double* const a = of.a + row * of.a_stride;
  const double* const b = of.b + column;
  double* const c = of.c + row * of.c_stride + column;
  std::array<double, kLanes> largest{};
  for (std::size_t n = 0; n < kLanes; ++n) largest[n] = std::fabs(c[n]);
  for (std::size_t k = 0; k < of.depth; ++k) {
    for (std::size_t n = 0; n < kLanes; ++n) {
      largest[n] = std::max(largest[n], std::fabs(a[k] * b[k * of.b_stride + n]));
    }
  }
  std::array<double, kLanes> unit{};
  std::array<double, kLanes> units{};  // in 1
  std::array<std::int32_t, kLanes> sum{};
  for (std::size_t n = 0; n < kLanes; ++n) {
    const int exponent = std::max(detail::exponent_of(largest[n]), -900) - kFractionBits;
    unit[n] = detail::power_of_two(exponent);
    units[n] = detail::power_of_two(-exponent);
    sum[n] = static_cast<std::int32_t>(c[n] * units[n]);
  }
  for (std::size_t k = 0; k < of.depth; ++k) {
    for (std::size_t n = 0; n < kLanes; ++n) {
      sum[n] += static_cast<std::int32_t>(a[k] * b[k * of.b_stride + n] * units[n]);
    }
  }
  // Of a sum of up to 2^19 units.
  for (std::size_t n = 0; n < kLanes; ++n) {
    const double value = sum[n] * unit[n];
    const double last = unit_at({11, kFractionBits, 1023}, value);
    c[n] = std::trunc(value / last) * last;
  }
}

}  // namespace

void multiply_add_in_tensor_core(const Multiplication& of) {
  if (!all_finite(of)) return multiply_add(of);
  for (std::size_t row = 0; row < of.rows; ++row) {
    for (std::size_t column = 0; column < of.columns; column += kLanes) {
      add_in_step(of, row, column);
    }
  }
}

}  // namespace jit::inline v1::reference
