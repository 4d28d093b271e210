// The grids of fp8_attention: the strict one, kernels of every kind with batches, layouts and
// contents of every kind, and the public one.
#pragma once

#include <compare>
#include <cstdint>
#include <set>
#include <vector>

#include "gpu/fp8_attention_case.hpp"

namespace jit::test {

struct Fp8Dims {
  std::int64_t qk;
  std::int64_t v;
};
// All head dims there are.
inline constexpr Fp8Dims kFp8Dims[] = {{64, 64},   {96, 96},   {128, 128},
                                       {192, 192}, {256, 256}, {192, 128}};

// Of pages: those of fewer tokens are refused, whose rows are less than 128 bytes.
std::int64_t least_page_size(const Fp8Dims& dims);

// The constants that choose a kernel.
struct Fp8Signature {
  std::int64_t head_dim, head_dim_v, accum_interval;
  bool causal, window, softcap, sinks;
  std::int64_t packed_heads, page_rows;
  bool split, fp8, invariant, programmatic;
  std::int64_t query_rows;  // of the longest sequence; stands for its bucket

  auto operator<=>(const Fp8Signature&) const = default;
};
// Requires: num_splits is not 0.
Fp8Signature signature_of(const Fp8Case& fp8);
std::vector<Constant> constants_of(const Fp8Signature& signature);

// Those of the kernels that join parts.
struct Fp8Combine {
  std::int64_t head_dim_v;
  bool fp8, programmatic;

  auto operator<=>(const Fp8Combine&) const = default;
};
std::vector<Constant> constants_of(const Fp8Combine& combine);

// Of all cases; those that launch nothing have none.
struct Fp8Kernels {
  std::set<Fp8Signature> attention;
  std::set<Fp8Combine> combine;

  std::size_t size() const noexcept { return attention.size() + combine.size(); }
};
Fp8Kernels kernels_of(const std::vector<Fp8Case>& cases);

// 24 kernels for each head dim, or nearly, several calls of each; what chooses no kernel is drawn
// at random.
std::vector<Fp8Case> plan_fp8_cases(std::uint64_t seed);

// The shapes of FlashAttention's own tests, with masks, heads and parts in turn.
std::vector<Fp8Case> plan_public_fp8_cases(std::uint64_t seed);

}  // namespace jit::test
