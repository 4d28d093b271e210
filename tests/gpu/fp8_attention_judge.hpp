// The verdict on a call of fp8_attention: its results against the float64 reference, and all that
// it must not have touched.
#pragma once

#include <string>
#include <vector>

#include "gpu/fp8_attention_case.hpp"
#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_judge.hpp"

namespace jit::test {

struct Fp8Verdict {
  std::string wrong;  // empty if everything is as it must be
  reference::AttentionCheck check;
};

// The operands as they lie in `inputs`, which must stay.
reference::AttentionProblem problem_of(const Fp8Case& fp8, const Fp8Inputs& inputs);

// The results as they lie in `outcome`, which must stay.
reference::AttentionOutput output_of(const Fp8Case& fp8, const Fp8Outcome& outcome);

struct Fp8Judging {
  std::size_t sample = 0;  // about so many rows; 0: all
  unsigned threads = 1;    // 0: as many as there are processors
};

reference::AttentionReference reference_of(const Fp8Case& fp8, const Fp8Inputs& inputs,
                                           const Fp8Judging& judging = {});

Fp8Verdict judge(const Fp8Case& fp8, const Fp8Inputs& inputs, const Fp8Outcome& outcome,
                 const Fp8Judging& judging = {});
// With a reference that was found before.
Fp8Verdict judge(const Fp8Case& fp8, const Fp8Inputs& inputs, const Fp8Outcome& outcome,
                 const reference::AttentionReference& reference, const Fp8Judging& judging);

// What the rows of a reference are in a result, [rows, head_dim_v].
std::vector<double> values_of(const Fp8Case& fp8, const Fp8Outcome& outcome,
                              const std::vector<reference::AttentionRow>& rows);

// |a - b| over |b|, both as vectors.
double relative_distance(const std::vector<double>& a, const std::vector<double>& b);

}  // namespace jit::test
