// What more of CUDA a kernel needs on the host that is divided over a grid: its size, the smaller
// and the larger of two numbers, and that of a warp's, leading zeros.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>

#include "block.hpp"

namespace jit::test {

inline Index& grid_size() {
  static thread_local Index size;
  return size;
}

// Where dynamic shared memory begins: its addresses on the device are 32 bits of those here.
inline unsigned char*& shared_memory() {
  static thread_local unsigned char* memory = nullptr;
  return memory;
}

}  // namespace jit::test

#define gridDim (::jit::test::grid_size())

inline void* __cvta_shared_to_generic(unsigned long address) {
  unsigned char* const begin = ::jit::test::shared_memory();
  const auto low = static_cast<unsigned int>(std::bit_cast<std::uintptr_t>(begin));
  return begin + (static_cast<unsigned int>(address) - low);
}
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a < b ? b : a; }
inline unsigned int min(unsigned int a, unsigned int b) { return a < b ? a : b; }
inline unsigned int max(unsigned int a, unsigned int b) { return a < b ? b : a; }
struct uint4 {
  unsigned int x, y, z, w;
};
inline int __clz(int value) { return std::countl_zero(static_cast<unsigned int>(value)); }
inline unsigned int __reduce_or_sync(unsigned int mask, unsigned int value) {
  unsigned int all = 0;
  for (const unsigned int each : ::jit::test::exchange_of_all(mask, value)) all |= each;
  return all;
}
inline unsigned int __byte_perm(unsigned int low, unsigned int high, unsigned int selector) {
  const std::uint64_t bytes = static_cast<std::uint64_t>(high) << 32 | low;
  unsigned int word = 0;
  for (unsigned int i = 0; i < 4; ++i) {
    word |= static_cast<unsigned int>(bytes >> ((selector >> 4 * i & 7u) * 8) & 0xFFu) << 8 * i;
  }
  return word;
}
inline bool __all_sync(unsigned int mask, bool holds) {
  return __reduce_or_sync(mask, holds ? 0u : 1u) == 0u;
}
inline unsigned int __reduce_min_sync(unsigned int mask, unsigned int value) {
  const auto& values = ::jit::test::exchange_of_all(mask, value);
  return *std::min_element(values.begin(), values.end());
}
inline unsigned int __reduce_max_sync(unsigned int mask, unsigned int value) {
  const auto& values = ::jit::test::exchange_of_all(mask, value);
  return *std::max_element(values.begin(), values.end());
}
