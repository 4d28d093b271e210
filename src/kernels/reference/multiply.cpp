#include "kernels/reference/multiply.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr std::size_t kLanes = 4;
using Vector = double __attribute__((vector_size(kLanes * sizeof(double)), aligned(8), may_alias));
static_assert(kMultiplyColumns == 2 * kLanes);

// The block of c from (row, column) on.
[[gnu::always_inline]] inline void block(const Multiplication& of, std::size_t row,
                                         std::size_t column) {
  Vector low[kMultiplyRows] = {};
  Vector high[kMultiplyRows] = {};
  const double* const a = of.a + row * of.a_stride;
  for (std::size_t k = 0; k < of.depth; ++k) {
    const auto* const b = reinterpret_cast<const Vector*>(of.b + k * of.b_stride + column);
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kMultiplyRows; ++i) {
      low[i] += a[i * of.a_stride + k] * b[0];
      high[i] += a[i * of.a_stride + k] * b[1];
    }
  }
  for (std::size_t i = 0; i < kMultiplyRows; ++i) {
    auto* const c = reinterpret_cast<Vector*>(of.c + (row + i) * of.c_stride + column);
    c[0] += low[i];
    c[1] += high[i];
  }
}

[[gnu::always_inline]] inline void all_blocks(const Multiplication& of) {
  for (std::size_t column = 0; column < of.columns; column += kMultiplyColumns) {
    for (std::size_t row = 0; row < of.rows; row += kMultiplyRows) block(of, row, column);
  }
}

void multiply_plain(const Multiplication& of) { all_blocks(of); }

// Several times as fast.
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void multiply_avx2(const Multiplication& of) { all_blocks(of); }
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
constexpr auto multiply_avx2 = multiply_plain;
bool has_avx2() { return false; }
#endif

}  // namespace

void multiply_add(const Multiplication& of) {
  if (has_avx2()) return multiply_avx2(of);
  multiply_plain(of);
}

}  // namespace jit::inline v1::reference
