#include "gpu/mla_prefill_judge.hpp"

#include <algorithm>

namespace jit::test {
namespace {

constexpr std::byte kNaNPoison{0xFF};

reference::AttentionOperand operand_of(const HeadsExtent& extent,
                                       const std::vector<std::uint16_t>& data) {
  return {data.data() + extent.offset, extent.token_stride, extent.head_stride};
}

template <class T>
const T* values_in(const Image& image) {
  // Images begin where operator new puts them, and payloads at a multiple of 4 from there.
  return reinterpret_cast<const T*>(image.payload().data());
}

reference::AttentionOutput output_of(const MlaCase& mla, const MlaOutcome& outcome,
                                     const MlaOutcome* unquantised) {
  const HeadsExtent extent = mla.output();
  reference::AttentionOutput output;
  output.type = mla.output_type();
  output.output = outcome.output.payload().data();
  output.token_stride = extent.token_stride;
  output.head_stride = extent.head_stride;
  if (mla.has_lse) output.lse = values_in<float>(outcome.lse);
  output.lse_head_stride = mla.query_tokens();
  output.scale = mla.scale.value_or(1.0F);
  output.group_size = mla.group;
  output.ue8m0_scales = mla.ue8m0;
  if (mla.group != 0) output.group_scales = values_in<float>(outcome.scales);
  output.scale_token_stride = mla.scale_token_stride();
  output.scale_group_stride = mla.scale_group_stride();
  if (unquantised != nullptr) output.unquantised = unquantised->output.payload().data();
  return output;
}

}  // namespace

reference::AttentionProblem problem_of(const MlaCase& mla, const MlaInputs& inputs) {
  reference::AttentionProblem problem;
  problem.num_sequences = mla.sequences();
  problem.num_tokens = mla.query_tokens();
  problem.num_heads = mla.heads;
  problem.num_kv_heads = mla.kv_heads;
  problem.head_dim = mla.head_dim;
  problem.head_dim_v = mla.head_dim_v;
  problem.causal = mla.causal;
  problem.softmax_scale = mla.softmax_scale;
  problem.q = operand_of(mla.queries(), inputs.q);
  problem.cu_seqlens_q = inputs.cu_seqlens_q.data();
  reference::AttentionKeys& keys = problem.keys.emplace_back();
  keys.k = operand_of(mla.keys(), inputs.k);
  keys.v = operand_of(mla.values(), inputs.v);
  if (mla.rope_apart) {
    keys.rope = {inputs.k_rope.data(), mla.rope().token_stride, 0};
  }
  keys.cu_seqlens = inputs.cu_seqlens_k.data();
  return problem;
}

reference::AttentionReference reference_of(const MlaCase& mla, const MlaInputs& inputs,
                                           const MlaJudging& judging) {
  const reference::AttentionProblem problem = problem_of(mla, inputs);
  std::vector<reference::AttentionRow> rows;
  if (judging.sample != 0) {
    rows = reference::sample_attention_rows(problem, judging.sample, mla.seed);
  }
  reference::AttentionOptions options;
  options.rows = rows;
  options.threads = judging.threads;
  return reference::compute_attention(problem, options);
}

reference::AttentionCheck check_results(const MlaCase& mla,
                                        const reference::AttentionProblem& problem,
                                        const reference::AttentionReference& reference,
                                        const MlaOutcome& outcome, const MlaJudging& judging) {
  reference::AttentionCheckOptions options;
  options.rules = judging.rules;
  // One value may be most of a row: then its own few roundings are the row's error.
  if (mla.pattern == MlaPattern::kOutliers) options.rules.row_rms *= 2;
  options.poisoned = mla.poison == kNaNPoison;
  options.threads = judging.threads;
  return reference::check_attention(problem, reference,
                                    output_of(mla, outcome, judging.unquantised), options);
}

MlaVerdict judge(const MlaCase& mla, const MlaInputs& inputs, const MlaOutcome& outcome,
                 const reference::AttentionReference& reference, const MlaJudging& judging) {
  MlaVerdict verdict;
  verdict.wrong = judge_surroundings(mla, inputs, outcome);
  if (!verdict.wrong.empty()) return verdict;
  const MlaOutcome* const twin = judging.unquantised;
  if (twin != nullptr && mla.has_lse &&
      !std::ranges::equal(outcome.lse.payload(), twin->lse.payload())) {
    verdict.wrong = "the LSE has other bits than that of the call with bf16 output";
    return verdict;
  }
  verdict.check = check_results(mla, problem_of(mla, inputs), reference, outcome, judging);
  if (!verdict.check.passed()) verdict.wrong = verdict.check.text();
  return verdict;
}

MlaVerdict judge(const MlaCase& mla, const MlaInputs& inputs, const MlaOutcome& outcome,
                 const MlaJudging& judging) {
  return judge(mla, inputs, outcome, reference_of(mla, inputs, judging), judging);
}

}  // namespace jit::test
