#include "kernels/fp8_attention_judge.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "kernels/mla_prefill_judge.hpp"

namespace jit::inline v1 {

Fp8AttentionJudge::Fp8AttentionJudge(const Fp8AttentionCall& call, const Fp8AttentionPools& pools,
                                     std::uint64_t seed)
    : call_(call), seed_(seed), sinks_(call.sink_scores()) {
  sequences_.push_back(0);
  if (call.num_sequences > 1) sequences_.push_back(call.num_sequences - 1);
  Fp8AttentionCall some = call;
  some.num_sequences = static_cast<std::int64_t>(sequences_.size());
  cu_seqlens_q_ = some.cu_seqlens_q();
  cu_seqlens_k_ = some.cu_seqlens_k();
  const std::int64_t query_elements = call.query_len * call.num_heads * call.head_dim;
  const std::int64_t key_elements = some.num_sequences * call.key_len * call.num_kv_heads;
  q_.reserve(static_cast<std::size_t>(some.num_sequences * query_elements));
  k_.reserve(static_cast<std::size_t>(key_elements * call.head_dim));
  v_.reserve(static_cast<std::size_t>(key_elements * call.head_dim_v));
  for (const std::int64_t sequence : sequences_) {
    pools.queries.append(kFp8QuerySalt, static_cast<std::uint64_t>(sequence * query_elements),
                         static_cast<std::size_t>(query_elements), q_);
    append_fp8_keys(call, pools.keys, kFp8KeySalt, sequence, k_);
    append_fp8_keys(call, pools.keys, kFp8ValueSalt, sequence, v_);
  }
  problem_.type = DType::kE4M3;
  problem_.num_sequences = some.num_sequences;
  problem_.num_tokens = some.num_query_tokens();
  problem_.num_heads = call.num_heads;
  problem_.num_kv_heads = call.num_kv_heads;
  problem_.head_dim = call.head_dim;
  problem_.head_dim_v = call.head_dim_v;
  problem_.causal = call.causal;
  problem_.window_left = call.window_left;
  problem_.window_right = call.window_right;
  problem_.softcap = call.softcap;
  if (call.sinks) problem_.sinks = {DType::kBF16, sinks_.data()};
  problem_.q = {q_.data(), call.num_heads * call.head_dim, call.head_dim};
  problem_.cu_seqlens_q = cu_seqlens_q_.data();
  reference::AttentionKeys keys;
  keys.k = {k_.data(), call.num_kv_heads * call.head_dim, call.head_dim};
  keys.v = {v_.data(), call.num_kv_heads * call.head_dim_v, call.head_dim_v};
  keys.cu_seqlens = cu_seqlens_k_.data();
  problem_.keys = {keys};
}

std::string Fp8AttentionJudge::operator()(const Fp8AttentionOutput& got) {
  const std::int64_t unwritten = first_poisoned(got.output, bytes_of(got.type));
  if (unwritten >= 0) return fmt::format("nobody wrote element {} of the output", unwritten);
  const auto rows = reference::sample_attention_rows(problem_, kRows, seed_++);
  reference::AttentionOptions options;
  options.rows = rows;
  options.eager = false;
  options.floor = true;
  return compare(got, reference::compute_attention(problem_, options));
}

std::string Fp8AttentionJudge::compare(const Fp8AttentionOutput& got,
                                       const reference::AttentionReference& right) const {
  const std::int64_t token_stride = call_.num_heads * call_.head_dim_v;
  const auto length = static_cast<std::size_t>(call_.query_len);
  const std::size_t sequence_bytes =
      length * static_cast<std::size_t>(token_stride) * bytes_of(got.type);
  std::vector<std::byte> output;
  for (const std::int64_t sequence : sequences_) {
    const auto part =
        got.output.subspan(static_cast<std::size_t>(sequence) * sequence_bytes, sequence_bytes);
    output.insert(output.end(), part.begin(), part.end());
  }
  std::vector<float> lse;
  for (std::int64_t head = 0; head < call_.num_heads; ++head) {
    for (const std::int64_t sequence : sequences_) {
      const std::int64_t first = head * call_.num_query_tokens() + sequence * call_.query_len;
      const auto part = got.lse.subspan(static_cast<std::size_t>(first), length);
      lse.insert(lse.end(), part.begin(), part.end());
    }
  }
  reference::AttentionOutput judged;
  judged.type = got.type;
  judged.output = output.data();
  judged.token_stride = token_stride;
  judged.head_stride = call_.head_dim_v;
  judged.lse = lse.data();
  judged.lse_head_stride = problem_.num_tokens;
  judged.scale = kFp8AttentionScale;
  reference::AttentionCheckOptions options;
  options.rules = reference::rules_of_fp8_weights();
  options.rules.score_bias = reference::kScoreBias;
  options.poisoned = true;
  const auto check = reference::check_attention(problem_, right, judged, options);
  return check.passed() ? std::string() : check.text();
}

}  // namespace jit::inline v1
