// The bits that a call of fp8_attention wrote.
#pragma once

#include <cstddef>
#include <vector>

#include "gpu/fp8_attention_case.hpp"

namespace jit::test {

// What a launch wrote, as bytes with whatever lies between results.
struct Fp8Bits {
  std::vector<std::byte> output;
  std::vector<std::byte> lse;

  bool operator==(const Fp8Bits&) const = default;
};
Fp8Bits bits_of(const Fp8Outcome& outcome);

// Where a run of tokens begins in a call's outputs.
struct Fp8Rows {
  const Fp8Case& fp8;
  const Fp8Bits& bits;
  std::int64_t first = 0;
};

// Of two calls with the same heads: how many of the rows (a head of a token) of `tokens` tokens
// have other bits, the LSE's among them.
int other_rows(const Fp8Rows& a, const Fp8Rows& b, std::int64_t tokens);

// Likewise of all tokens of all sequences, which may lie otherwise.
int other_rows(const Fp8Case& a, const Fp8Bits& a_bits, const Fp8Case& b, const Fp8Bits& b_bits);

}  // namespace jit::test
