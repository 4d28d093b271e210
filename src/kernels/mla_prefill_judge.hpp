// Judging what launches of mla_prefill wrote, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/mla_prefill_call.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::inline v1 {

// What a launch of a call wrote, all of it, without gaps.
struct MlaPrefillOutput {
  std::span<const std::byte> output;         // as MlaPrefillCall::stored_type
  std::span<const float> lse{};              // empty: not asked for
  std::span<const float> scales{};           // of groups, row-major
  std::span<const std::byte> unquantised{};  // of FP8: what the kernel writes as bf16; or empty
};

// MlaPrefillJudge compares outputs of a call whose operands NormalPool filled with the float64
// reference: rows of a few heads, others each time.
class MlaPrefillJudge {
 public:
  MlaPrefillJudge(const MlaPrefillCall& call, const NormalPool& pool, std::uint64_t seed);
  MlaPrefillJudge(const MlaPrefillJudge&) = delete;
  MlaPrefillJudge& operator=(const MlaPrefillJudge&) = delete;

  // Judges memory that was filled with 0xFF bytes before the launch: every element whether it was
  // written, and some rows. `fp8` and `output_type` say what was asked for, if not that of the
  // call. Returns: empty, or what is wrong.
  std::string operator()(const MlaPrefillOutput& got) { return (*this)(call_, got); }
  std::string operator()(const MlaPrefillCall& asked, const MlaPrefillOutput& got);

 private:
  static constexpr std::int64_t kHeads = 3;
  static constexpr std::size_t kRows = 64;  // at once

  void gather_inputs(const NormalPool& pool);
  reference::AttentionCheck compare(const MlaPrefillCall& asked, const MlaPrefillOutput& got,
                                    const reference::AttentionReference& right) const;
  template <class T>
  std::vector<T> of_heads(std::span<const T> all, std::size_t per_head) const;

  MlaPrefillCall call_;
  std::uint64_t seed_;
  std::vector<std::int64_t> heads_;  // of the call; each has its own keys in problem_
  std::vector<std::byte> q_, k_, v_, k_rope_;
  std::vector<std::int32_t> cu_seqlens_q_, cu_seqlens_k_;
  reference::AttentionProblem problem_;
};

// The first element of `bytes` bytes each (1, 2 or 4) that is all ones, or -1.
std::int64_t first_poisoned(std::span<const std::byte> output, std::size_t bytes);

}  // namespace jit::inline v1
