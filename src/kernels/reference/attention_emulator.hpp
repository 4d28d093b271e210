// What a right kernel of attention with weights in 8 bits makes of its tiles, on the host: much
// nearer to its results than the exact reference, and known before it runs, that of a wrong one
// too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "jit/abi.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::inline v1::reference {

// AttentionTiling is how a kernel goes through the keys: tiles of block_n keys, the first of them
// from key 0 on, taken last to first.
struct AttentionTiling {
  std::int64_t block_n = 128;
  // Products with values are sums of float64; with `truncates` as multiply_add_in_tensor_core keeps
  // them. They are carried over to fp32 after so many tiles; 0: never before the end.
  std::int64_t accumulation_interval = 1;
  bool truncates = false;
  bool truncates_scores = false;  // the same of the products of q and k
  // Parts of so many tiles, the first from key 0 on, the last with the rest, joined in fp32; 1: all
  // keys are one part. Both as a launch has them.
  std::int64_t num_splits = 1;
  std::int64_t split_tiles = 0;
};

// AttentionEmulation is the result of some rows, not rounded to the output's type.
struct AttentionEmulation {
  std::int64_t head_dim_v = 0;
  std::vector<AttentionRow> rows;  // as asked for; all: by token, then by head
  std::vector<double> output;      // [rows, head_dim_v]
  std::vector<double> lse;         // [rows]
  std::vector<std::int64_t> seen;  // [rows]: keys
};

// Weights of a tile are e4m3, to nearest, of 2^8 times e^(score - m), with m the largest score of
// the row so far, this tile's included; the sum of weights is of those that were not rounded; what
// was summed before shrinks as m grows. A tile that a row does not see changes nothing in it. (With
// an interval above 1, sums are carried over when as many tiles of the row itself have passed: a
// block counts from the first tile of any of its rows.)
//
// Of `options` rows, threads and keys; `keys`, a part of a split, begins with a tile.
//
// Errors: as compute_attention; kInvalidArgument for tiles of no keys or none of 32.
// Cost: as compute_attention without eager; several times as much with truncates.
AttentionEmulation emulate_attention(const AttentionProblem& problem, const AttentionTiling& tiling,
                                     const AttentionOptions& options = {});

// How near a result is to its emulation, for operands like N(0, 1): of scores of a hundred the
// tensor cores lose more.
//
// Limits: rms 1.5e-2, of fewer than 4096 elements 5e-2: another order of sums moves a weight to its
//         neighbour, seldom; another tile, offset, order of tiles or sum moves many. In rows of
//         4096 keys and more, where no weight outweighs the others, no element is off by more than
//         0.1 of the row's rms.
struct AttentionAgreement {
  std::uint64_t elements = 0;
  double rms = 0.0;      // of all errors, relative
  double largest = 0.0;  // |error| beyond the output's own rounding, as the limit says
  std::string first_failure;

  bool passed() const { return first_failure.empty(); }
  // One line for people.
  std::string text() const;
};

// Compares the rows of an emulation with a result in bf16, f16 or f32.
//
// Errors: kInvalidArgument for another type.
AttentionAgreement compare_with_emulation(const AttentionEmulation& emulation,
                                          const AttentionOutput& output);

// The root of the sum of squared differences, relative to that of `expected`.
double relative_rms(std::span<const double> values, std::span<const double> expected);

}  // namespace jit::inline v1::reference
