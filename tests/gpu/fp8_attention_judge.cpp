#include "gpu/fp8_attention_judge.hpp"

#include <cmath>
#include <limits>

#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr std::byte kNaNPoison{0xFF};
constexpr double kMostOfSlope = 32.0;  // about the largest score of a slope

reference::AttentionOperand operand_of(const HeadsExtent& extent,
                                       const std::vector<std::uint8_t>& data) {
  return {data.data(), extent.token_stride, extent.head_stride, extent.page_stride};
}

reference::AttentionDescales factors_of(const Fp8Case& fp8, const std::vector<float>& factors) {
  if (fp8.factors == Fp8Factors::kNone) return {};
  return {factors.data(), fp8.factor_sequence_stride(), fp8.factor_head_stride()};
}

reference::AttentionKeys keys_of(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  reference::AttentionKeys keys;
  keys.k = operand_of(fp8.keys(), inputs.k);
  keys.v = operand_of(fp8.values(), inputs.v);
  keys.used = inputs.seqused_k.data();
  if (fp8.page_size == 0) {
    keys.cu_seqlens = inputs.cu_seqlens_k.data();
  } else {
    keys.pages = {inputs.page_table.data(), fp8.table_stride(), fp8.page_size};
  }
  return keys;
}

// Of queries times that of keys: what scores grow by.
double largest_factor(const Fp8Inputs& inputs) {
  double largest = inputs.q_factors.empty() ? 1 : 0;
  for (std::size_t i = 0; i < inputs.q_factors.size(); ++i) {
    // NaNs lie between factors.
    const auto factor = static_cast<double>(inputs.q_factors[i] * inputs.k_factors[i]);
    if (factor > largest) largest = factor;
  }
  return largest;
}

// The rules of values whose contents are unlike random ones.
reference::AttentionRules rules_of(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  reference::AttentionRules rules = reference::rules_of_fp8_weights();
  rules.score_bias = reference::kScoreBias;
  const bool slopes = fp8.pattern == Fp8Pattern::kRising || fp8.pattern == Fp8Pattern::kFalling;
  if (slopes) {
    // Products of one sign: what each 32 elements and their sum lose of 13 bits adds up, and all
    // scores of a row lose it.
    const double steps = static_cast<double>(fp8.head_dim) / 32;
    rules.score_error *= 4;
    rules.lse_absolute += steps * 0x1p-12 * kMostOfSlope * largest_factor(inputs);
  }
  if (slopes || fp8.pattern == Fp8Pattern::kSharp || fp8.pattern == Fp8Pattern::kPeaked) {
    // A few keys count, and scores are large: a row's error is that of a few weights, which
    // elements are judged by, and no mean of many. Nor is what scores lose.
    rules.score_bias *= 2;
    rules.row_rms = std::numeric_limits<double>::infinity();
    rules.row_relative = std::numeric_limits<double>::infinity();
  }
  if (fp8.pattern == Fp8Pattern::kOutliers) {
    // One value may be most of a row: then the rounding of its weight is the row's error.
    rules.rms *= 1.5;
    rules.cosine *= 2.25;
    rules.row_relative = std::numeric_limits<double>::infinity();
  }
  return rules;
}

}  // namespace

reference::AttentionProblem problem_of(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  reference::AttentionProblem problem;
  problem.type = DType::kE4M3;
  problem.num_sequences = fp8.sequences();
  problem.num_tokens = fp8.query_tokens();
  problem.num_heads = fp8.heads;
  problem.num_kv_heads = fp8.kv_heads;
  problem.head_dim = fp8.head_dim;
  problem.head_dim_v = fp8.head_dim_v;
  problem.causal = fp8.causal;
  problem.softmax_scale = fp8.softmax_scale;
  problem.q = operand_of(fp8.queries(), inputs.q);
  problem.cu_seqlens_q = inputs.cu_seqlens_q.data();
  problem.used_q = inputs.seqused_q.data();
  problem.window_left = fp8.window_left;
  problem.window_right = fp8.window_right;
  problem.softcap = fp8.softcap;
  problem.q_descale = factors_of(fp8, inputs.q_factors);
  problem.k_descale = factors_of(fp8, inputs.k_factors);
  problem.v_descale = factors_of(fp8, inputs.v_factors);
  if (fp8.sinks) problem.sinks.data = inputs.sinks.data();
  problem.keys.push_back(keys_of(fp8, inputs));
  return problem;
}

reference::AttentionOutput output_of(const Fp8Case& fp8, const Fp8Outcome& outcome) {
  const HeadsExtent extent = fp8.output();
  reference::AttentionOutput output;
  output.type = fp8.output_type();
  output.output = outcome.output.payload().data();
  output.token_stride = extent.token_stride;
  output.head_stride = extent.head_stride;
  if (fp8.has_lse) {
    // Images begin where operator new puts them, and payloads at a multiple of 4 from there.
    output.lse = reinterpret_cast<const float*>(outcome.lse.payload().data());
  }
  output.lse_head_stride = fp8.query_tokens();
  output.scale = fp8.scale.value_or(1.0F);
  return output;
}

reference::AttentionReference reference_of(const Fp8Case& fp8, const Fp8Inputs& inputs,
                                           const Fp8Judging& judging) {
  const reference::AttentionProblem problem = problem_of(fp8, inputs);
  std::vector<reference::AttentionRow> rows;
  if (judging.sample != 0) {
    rows = reference::sample_attention_rows(problem, judging.sample, fp8.seed);
  }
  reference::AttentionOptions options;
  options.rows = rows;
  options.eager = false;
  options.floor = true;
  options.threads = judging.threads;
  return reference::compute_attention(problem, options);
}

Fp8Verdict judge(const Fp8Case& fp8, const Fp8Inputs& inputs, const Fp8Outcome& outcome,
                 const reference::AttentionReference& reference, const Fp8Judging& judging) {
  Fp8Verdict verdict;
  verdict.wrong = judge_surroundings(fp8, inputs, outcome);
  if (!verdict.wrong.empty()) return verdict;
  reference::AttentionCheckOptions options;
  options.rules = rules_of(fp8, inputs);
  options.poisoned = fp8.poison == kNaNPoison;
  options.threads = judging.threads;
  verdict.check = reference::check_attention(problem_of(fp8, inputs), reference,
                                             output_of(fp8, outcome), options);
  if (!verdict.check.passed()) verdict.wrong = verdict.check.text();
  return verdict;
}

Fp8Verdict judge(const Fp8Case& fp8, const Fp8Inputs& inputs, const Fp8Outcome& outcome,
                 const Fp8Judging& judging) {
  return judge(fp8, inputs, outcome, reference_of(fp8, inputs, judging), judging);
}

std::vector<double> values_of(const Fp8Case& fp8, const Fp8Outcome& outcome,
                              const std::vector<reference::AttentionRow>& rows) {
  const HeadsExtent extent = fp8.output();
  const void* const data = outcome.output.payload().data();
  const auto scale = static_cast<double>(fp8.scale.value_or(1.0F));
  std::vector<double> values;
  for (const reference::AttentionRow& row : rows) {
    const std::size_t first = extent.at(row.token, row.head);
    for (std::size_t i = first; i < first + static_cast<std::size_t>(extent.dim); ++i) {
      values.push_back(reference::load_element(fp8.output_type(), data, i) * scale);
    }
  }
  return values;
}

double relative_distance(const std::vector<double>& a, const std::vector<double>& b) {
  double distance = 0;
  double length = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    distance += (a[i] - b[i]) * (a[i] - b[i]);
    length += b[i] * b[i];
  }
  return std::sqrt(distance / length);
}

}  // namespace jit::test
