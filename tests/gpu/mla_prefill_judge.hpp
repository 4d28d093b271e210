// The verdict on a call of mla_prefill: its results against the float64 reference, and all that it
// must not have touched.
#pragma once

#include <string>

#include "gpu/mla_prefill_case.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::test {

struct MlaVerdict {
  std::string wrong;  // empty if everything is as it must be
  reference::AttentionCheck check;
};

// The operands as they lie in `inputs`, which must stay.
reference::AttentionProblem problem_of(const MlaCase& mla, const MlaInputs& inputs);

struct MlaJudging {
  std::size_t sample = 0;  // about so many rows; 0: all
  unsigned threads = 1;    // 0: as many as there are processors
  reference::AttentionRules rules{};
  // Optional: the same call with bf16 output. The LSE must have the same bits.
  const MlaOutcome* unquantised = nullptr;
};

reference::AttentionReference reference_of(const MlaCase& mla, const MlaInputs& inputs,
                                           const MlaJudging& judging = {});

// The results alone, for a problem that need not be that of one call.
reference::AttentionCheck check_results(const MlaCase& mla,
                                        const reference::AttentionProblem& problem,
                                        const reference::AttentionReference& reference,
                                        const MlaOutcome& outcome, const MlaJudging& judging = {});

MlaVerdict judge(const MlaCase& mla, const MlaInputs& inputs, const MlaOutcome& outcome,
                 const MlaJudging& judging = {});
// With a reference that was found before.
MlaVerdict judge(const MlaCase& mla, const MlaInputs& inputs, const MlaOutcome& outcome,
                 const reference::AttentionReference& reference, const MlaJudging& judging);

}  // namespace jit::test
