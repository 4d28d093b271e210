// Judging what launches of fp8_attention wrote, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "kernels/fp8_attention_call.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::inline v1 {

// What a launch of a call wrote, all of it, without gaps.
struct Fp8AttentionOutput {
  DType type = DType::kBF16;          // or e4m3, or f32 where parts were joined
  std::span<const std::byte> output;  // [n, h, dv]
  std::span<const float> lse;         // [h, n]
};

// Fp8AttentionJudge compares outputs of a call whose operands NormalPool filled with the float64
// reference: rows of a few sequences, others each time.
//
// Cost: the keys of up to kSequences sequences in memory.
class Fp8AttentionJudge {
 public:
  // Requires: a pool of e4m3 that lives as long.
  Fp8AttentionJudge(const Fp8AttentionCall& call, const Fp8AttentionPools& pools,
                    std::uint64_t seed);
  Fp8AttentionJudge(const Fp8AttentionJudge&) = delete;
  Fp8AttentionJudge& operator=(const Fp8AttentionJudge&) = delete;

  // Judges memory that was filled with 0xFF bytes before the launch: every element whether it was
  // written, and some rows, others each time. Returns: empty, or what is wrong.
  std::string operator()(const Fp8AttentionOutput& got);

 private:
  static constexpr std::int64_t kSequences = 2;
  static constexpr std::size_t kRows = 32;  // at once

  std::string compare(const Fp8AttentionOutput& got,
                      const reference::AttentionReference& right) const;

  Fp8AttentionCall call_;
  std::uint64_t seed_;
  std::vector<std::int64_t> sequences_;  // of the call; problem_ has them alone
  std::vector<std::byte> q_, k_, v_;
  std::vector<std::int32_t> cu_seqlens_q_, cu_seqlens_k_;
  std::vector<std::uint16_t> sinks_;
  reference::AttentionProblem problem_;
};

}  // namespace jit::inline v1
