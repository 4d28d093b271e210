// Operands of attention on the host: where their elements are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace jit::test {

// HeadsExtent says where the elements of an operand are: (token, head) begins at offset + token *
// token_stride + head * head_stride; with pages `token` is a slot of all pages, one after the
// other.
struct HeadsExtent {
  std::int64_t tokens = 0;
  std::int64_t heads = 0;
  std::int64_t dim = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t offset = 0;
  std::int64_t page_size = 0;  // 0: no pages
  std::int64_t page_stride = 0;

  std::size_t at(std::int64_t token, std::int64_t head) const noexcept {
    const std::int64_t place =
        page_size == 0 ? token * token_stride
                       : token / page_size * page_stride + token % page_size * token_stride;
    return static_cast<std::size_t>(offset + place + head * head_stride);
  }
  std::size_t elements() const noexcept {  // up to the last one
    return tokens == 0 || heads == 0 ? 0
                                     : at(tokens - 1, heads - 1) + static_cast<std::size_t>(dim);
  }
};

// A seed of its own for every place.
// Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
inline std::uint64_t scrambled(std::uint64_t x) noexcept {
  x += 0x9E3779B97F4A7C15U;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
  return x ^ (x >> 31);
}

// `first`, and it plus each length after the other.
inline std::vector<std::int32_t> sums_of(const std::vector<std::int32_t>& lengths,
                                         std::int64_t first) {
  std::vector<std::int32_t> sums{static_cast<std::int32_t>(first)};
  for (const std::int32_t length : lengths) sums.push_back(sums.back() + length);
  return sums;
}

}  // namespace jit::test
