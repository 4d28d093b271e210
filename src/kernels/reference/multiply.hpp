// Products of small float64 matrices for the references.
#pragma once

#include <cstddef>

#include "jit/abi.hpp"

namespace jit::inline v1::reference {

inline constexpr std::size_t kMultiplyRows = 4;
inline constexpr std::size_t kMultiplyColumns = 8;

// c[rows, columns] += a[rows, depth] * b[depth, columns]; row-major.
//
// Requires: rows a multiple of kMultiplyRows, columns of kMultiplyColumns.
struct Multiplication {
  std::size_t rows = 0;
  std::size_t columns = 0;
  std::size_t depth = 0;
  const double* a = nullptr;
  std::size_t a_stride = 0;  // Units: elements, between rows; as the others
  const double* b = nullptr;
  std::size_t b_stride = 0;
  double* c = nullptr;
  std::size_t c_stride = 0;
};
void multiply_add(const Multiplication& of);

}  // namespace jit::inline v1::reference
