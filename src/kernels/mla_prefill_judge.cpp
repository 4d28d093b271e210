#include "kernels/mla_prefill_judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace jit::inline v1 {
namespace {

template <class Word>
std::int64_t first_ones(std::span<const std::byte> output) {
  // As loads and not as a span of words: the bytes hold other types.
  for (std::size_t element = 0; (element + 1) * sizeof(Word) <= output.size(); ++element) {
    Word word = 0;
    std::memcpy(&word, output.data() + element * sizeof(Word), sizeof word);
    if (word == static_cast<Word>(~Word{0})) return static_cast<std::int64_t>(element);
  }
  return -1;
}

// The first and the last head, and another.
std::vector<std::int64_t> choose_heads(std::int64_t of, std::int64_t most, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::int64_t> heads{0};
  if (of > 1) heads.push_back(of - 1);
  while (static_cast<std::int64_t>(heads.size()) < std::min(of, most)) {
    const auto head = static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(of));
    if (std::find(heads.begin(), heads.end(), head) == heads.end()) heads.push_back(head);
  }
  std::sort(heads.begin(), heads.end());
  return heads;
}

}  // namespace

std::int64_t first_poisoned(std::span<const std::byte> output, std::size_t bytes) {
  if (bytes == 1) return first_ones<std::uint8_t>(output);
  if (bytes == 2) return first_ones<std::uint16_t>(output);
  return first_ones<std::uint32_t>(output);
}

MlaPrefillJudge::MlaPrefillJudge(const MlaPrefillCall& call, const NormalPool& pool,
                                 std::uint64_t seed)
    : call_(call),
      seed_(seed),
      heads_(choose_heads(call.num_heads, kHeads, seed)),
      cu_seqlens_q_(call.cu_seqlens_q()),
      cu_seqlens_k_(call.cu_seqlens_k()) {
  gather_inputs(pool);
  const std::int64_t key_dim = call.head_dim - call.rope_dim;
  const auto heads = static_cast<std::int64_t>(heads_.size());
  problem_.num_sequences = call.num_sequences;
  problem_.num_tokens = call.num_query_tokens();
  problem_.num_heads = problem_.num_kv_heads = heads;
  problem_.head_dim = call.head_dim;
  problem_.head_dim_v = call.head_dim_v;
  problem_.causal = call.causal;
  problem_.q = {q_.data(), heads * call.head_dim, call.head_dim};
  problem_.cu_seqlens_q = cu_seqlens_q_.data();
  reference::AttentionKeys keys;
  keys.k = {k_.data(), heads * key_dim, key_dim};
  keys.v = {v_.data(), heads * call.head_dim_v, call.head_dim_v};
  keys.cu_seqlens = cu_seqlens_k_.data();
  if (call.rope_dim != 0) {
    problem_.rope_dim = call.rope_dim;
    keys.rope = {k_rope_.data(), call.rope_dim, 0};
  }
  problem_.keys = {keys};
}

void MlaPrefillJudge::gather_inputs(const NormalPool& pool) {
  const std::int64_t per_kv = call_.num_heads / call_.num_kv_heads;
  const auto append = [&](std::size_t salt, std::int64_t row, std::int64_t elements,
                          std::vector<std::byte>& to) {
    pool.append(salt, static_cast<std::uint64_t>(row * elements),
                static_cast<std::size_t>(elements), to);
  };
  for (std::int64_t token = 0; token < call_.num_query_tokens(); ++token) {
    for (const std::int64_t head : heads_) {
      append(kQuerySalt, token * call_.num_heads + head, call_.head_dim, q_);
    }
  }
  for (std::int64_t token = 0; token < call_.num_key_tokens(); ++token) {
    for (const std::int64_t head : heads_) {
      const std::int64_t row = token * call_.num_kv_heads + head / per_kv;
      append(kKeySalt, row, call_.head_dim - call_.rope_dim, k_);
      append(kValueSalt, row, call_.head_dim_v, v_);
    }
    append(kRopeSalt, token, call_.rope_dim, k_rope_);
  }
}

// Of [tokens, all heads, per_head] those of heads_.
template <class T>
std::vector<T> MlaPrefillJudge::of_heads(std::span<const T> all, std::size_t per_head) const {
  std::vector<T> some;
  const std::size_t per_token = static_cast<std::size_t>(call_.num_heads) * per_head;
  for (std::size_t at = 0; at < all.size(); at += per_token) {
    for (const std::int64_t head : heads_) {
      const auto part = all.subspan(at + static_cast<std::size_t>(head) * per_head, per_head);
      some.insert(some.end(), part.begin(), part.end());
    }
  }
  return some;
}

std::string MlaPrefillJudge::operator()(const MlaPrefillCall& asked, const MlaPrefillOutput& got) {
  const std::size_t element = bytes_of(asked.stored_type());
  const std::int64_t unwritten = first_poisoned(got.output, element);
  if (unwritten >= 0) return fmt::format("nobody wrote element {} of the output", unwritten);
  const auto rows = reference::sample_attention_rows(problem_, kRows, seed_++);
  reference::AttentionOptions options;
  options.rows = rows;
  const reference::AttentionCheck check =
      compare(asked, got, reference::compute_attention(problem_, options));
  return check.passed() ? std::string() : check.text();
}

reference::AttentionCheck MlaPrefillJudge::compare(
    const MlaPrefillCall& asked, const MlaPrefillOutput& got,
    const reference::AttentionReference& right) const {
  const auto dim = static_cast<std::size_t>(call_.head_dim_v);
  const std::size_t groups = asked.group == 0 ? 0 : dim / static_cast<std::size_t>(asked.group);
  const std::vector<std::byte> output = of_heads(got.output, dim * bytes_of(asked.stored_type()));
  const std::vector<std::byte> unquantised = of_heads(got.unquantised, dim * 2);
  const std::vector<float> scales = of_heads(got.scales, groups);
  const auto tokens = static_cast<std::size_t>(call_.num_query_tokens());
  std::vector<float> lse;
  for (const std::int64_t head : heads_) {
    if (got.lse.empty()) break;
    const auto part = got.lse.subspan(static_cast<std::size_t>(head) * tokens, tokens);
    lse.insert(lse.end(), part.begin(), part.end());
  }
  reference::AttentionOutput judged;
  judged.type = asked.stored_type();
  judged.output = output.data();
  judged.head_stride = call_.head_dim_v;
  judged.token_stride = static_cast<std::int64_t>(heads_.size()) * judged.head_stride;
  judged.lse = lse.empty() ? nullptr : lse.data();
  judged.lse_head_stride = call_.num_query_tokens();
  judged.unquantised = unquantised.empty() ? nullptr : unquantised.data();
  judged.scale = kMlaPrefillScale;
  if (groups != 0) {
    judged.group_size = asked.group;
    judged.ue8m0_scales = asked.ue8m0;
    judged.group_scales = scales.data();
    judged.scale_token_stride = static_cast<std::int64_t>(heads_.size() * groups);
    judged.scale_group_stride = 1;
  }
  reference::AttentionCheckOptions options;
  options.poisoned = true;
  return reference::check_attention(problem_, right, judged, options);
}

}  // namespace jit::inline v1
