// Into how many parts fp8_attention splits keys, and where the parts lie until they are joined.
#pragma once

#include <cstdint>

#include "kernels/fp8_attention_operands.hpp"

namespace jit::inline v1::kernels {

// A launch without splits, as far as the number of parts depends on it.
struct SplitProblem {
  std::int64_t items = 0;      // blocks' worth of work
  std::int64_t key_tiles = 0;  // of the longest sequence
  std::int64_t workers = 0;    // blocks that run at a time; 1 or more
  bool is_decode = false;      // its items are alike, and parts of them small
};

// How many parts keep the workers busy, 1 to kMaxSplits: 1 where the items do so themselves, or
// keys are few; else the fewest that use 85 % of the workers' time, or of what can be used of it.
// No part of the longest sequence is empty.
std::int64_t best_splits(const SplitProblem& problem) noexcept;

// The problem of these operands on a GPU of `multiprocessors`, for the tiles that kernels have
// about.
SplitProblem split_problem_of(const Fp8AttentionOperands& operands, const Fp8AttentionArgs& args,
                              std::int64_t multiprocessors) noexcept;

// Layout: fp32 outputs [parts, n, h, dv], then LSEs [parts, h, n], each from a multiple of 256
// bytes on.
class SplitWorkspace {
 public:
  // Requires: !has_nothing_to_do(args).
  SplitWorkspace(const Fp8AttentionOperands& operands, std::int64_t parts) noexcept;

  std::int64_t bytes() const noexcept;
  float* outputs(void* workspace) const noexcept { return static_cast<float*>(workspace); }
  float* lses(void* workspace) const noexcept;

  // Units: elements.
  std::int64_t output_split_stride() const noexcept { return rows_ * width_; }
  std::int64_t lse_split_stride() const noexcept { return rows_; }

  // The most parts that so many bytes hold, up to kMaxSplits.
  static std::int64_t most_parts(const Fp8AttentionOperands& operands,
                                 std::int64_t workspace_bytes) noexcept;

 private:
  std::int64_t rows_;   // (token, head)
  std::int64_t width_;  // elements of a row
  std::int64_t parts_;
};

// The parts of a call, were there room for any number of them. Requires: !has_nothing_to_do(args).
std::int64_t wanted_splits(const Fp8AttentionOperands& operands, const Fp8AttentionArgs& args,
                           std::int64_t multiprocessors) noexcept;

// The parts of a call: those that are asked for, or as many of the wanted ones as find room.
// Requires: !has_nothing_to_do(args).
std::int64_t splits_of(const Fp8AttentionOperands& operands, const Fp8AttentionArgs& args,
                       std::int64_t multiprocessors) noexcept;

}  // namespace jit::inline v1::kernels
