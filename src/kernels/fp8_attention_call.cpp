#include "kernels/fp8_attention_call.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <span>

#include "kernels/reference/element.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::uint64_t kPageSeed = 20'01;
constexpr std::uint64_t kSinkSeed = 20'02;

std::size_t bytes_for(std::int64_t tokens, std::int64_t heads, std::int64_t elements) {
  return static_cast<std::size_t>(tokens * heads * elements);
}

std::vector<std::int32_t> cumulative_lengths(std::int64_t sequences, std::int64_t length) {
  std::vector<std::int32_t> starts;
  for (std::int64_t b = 0; b <= sequences; ++b) {
    starts.push_back(static_cast<std::int32_t>(b * length));
  }
  return starts;
}

template <class T>
DeviceBuffer to_device(Driver& driver, const std::vector<T>& values) {
  return DeviceBuffer::of(driver, std::span<const T>(values));
}

}  // namespace

std::uint64_t Fp8AttentionCall::key_value_bytes() const {
  return bytes_for(num_sequences * key_len, num_kv_heads, head_dim + head_dim_v);
}

std::uint64_t Fp8AttentionCall::bytes() const {
  return bytes_for(num_query_tokens(), num_heads, head_dim) + key_value_bytes() + output_bytes();
}

std::vector<std::int32_t> Fp8AttentionCall::cu_seqlens_q() const {
  return cumulative_lengths(num_sequences, query_len);
}

std::vector<std::int32_t> Fp8AttentionCall::cu_seqlens_k() const {
  return cumulative_lengths(num_sequences, key_len);
}

std::vector<std::int32_t> Fp8AttentionCall::page_table() const {
  if (page_size == 0) return {};
  std::vector<std::int32_t> pages(static_cast<std::size_t>(num_sequences * pages_per_sequence()));
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), std::mt19937_64(kPageSeed));
  return pages;
}

std::vector<std::uint16_t> Fp8AttentionCall::sink_scores() const {
  std::vector<std::uint16_t> scores(sinks ? static_cast<std::size_t>(num_heads) : 0);
  std::mt19937_64 engine(kSinkSeed);
  std::normal_distribution<double> normal;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    reference::store_element(DType::kBF16, scores.data(), i, normal(engine));
  }
  return scores;
}

Fp8AttentionSet::Fp8AttentionSet(Driver& driver, const Fp8AttentionCall& call)
    : q(driver, bytes_for(call.num_query_tokens(), call.num_heads, call.head_dim)),
      k(driver, bytes_for(call.num_key_tokens(), call.num_kv_heads, call.head_dim)),
      v(driver, bytes_for(call.num_key_tokens(), call.num_kv_heads, call.head_dim_v)),
      cu_seqlens_q(to_device(driver, call.cu_seqlens_q())),
      cu_seqlens_k(to_device(driver, call.cu_seqlens_k())),
      seqused_k(
          to_device(driver, std::vector<std::int32_t>(static_cast<std::size_t>(call.num_sequences),
                                                      static_cast<std::int32_t>(call.key_len)))),
      page_table(to_device(driver, call.page_table())),
      sinks(to_device(driver, call.sink_scores())),
      output_scale(to_device(driver, std::vector<float>{kFp8AttentionScale})) {}

void Fp8AttentionSet::fill(const Fp8AttentionPools& pools, Stream stream) {
  pools.queries.fill(q, kFp8QuerySalt, stream);
  pools.keys.fill(k, kFp8KeySalt, stream);
  pools.keys.fill(v, kFp8ValueSalt, stream);
}

kernels::Fp8AttentionArgs fp8_attention_args(const Fp8AttentionCall& call,
                                             const Fp8AttentionSet& set) {
  kernels::Fp8AttentionArgs args;
  args.num_sequences = call.num_sequences;
  args.num_query_tokens = call.num_query_tokens();
  args.max_query_tokens = call.query_len;
  args.max_key_tokens = call.key_len;
  args.num_heads = call.num_heads;
  args.num_kv_heads = call.num_kv_heads;
  args.head_dim = call.head_dim;
  args.head_dim_v = call.head_dim_v;
  args.causal = call.causal;
  args.window_left = call.window_left;
  args.window_right = call.window_right;
  args.softcap = call.softcap;
  args.q = set.q.as<void>();
  args.k = set.k.as<void>();
  args.v = set.v.as<void>();
  args.cu_seqlens_q = set.cu_seqlens_q.as<std::int32_t>();
  if (call.page_size == 0) {
    args.num_key_tokens = call.num_key_tokens();
    args.cu_seqlens_k = set.cu_seqlens_k.as<std::int32_t>();
  } else {
    args.seqused_k = set.seqused_k.as<std::int32_t>();
    args.page_table = set.page_table.as<std::int32_t>();
    args.max_pages = call.pages_per_sequence();
    args.num_pages = call.num_sequences * call.pages_per_sequence();
    args.page_size = call.page_size;
  }
  if (call.sinks) args.sinks = set.sinks.as<void>();
  if (call.fp8) args.output_scale = set.output_scale.as<float>();
  args.accum_interval = call.accum_interval;
  args.pack_gqa = call.pack_gqa;
  args.num_splits = call.num_splits;
  args.invariant = call.invariant;
  args.programmatic_dependent = call.programmatic;
  return args;
}

void append_fp8_keys(const Fp8AttentionCall& call, const NormalPool& pool, Fp8AttentionSalt salt,
                     std::int64_t sequence, std::vector<std::byte>& to) {
  const std::int64_t elements =
      call.num_kv_heads * (salt == kFp8KeySalt ? call.head_dim : call.head_dim_v);
  const auto append = [&](std::int64_t token, std::int64_t tokens) {
    pool.append(salt, static_cast<std::uint64_t>(token * elements),
                static_cast<std::size_t>(tokens * elements), to);
  };
  if (call.page_size == 0) return append(sequence * call.key_len, call.key_len);
  const std::vector<std::int32_t> table = call.page_table();
  const std::int64_t first = sequence * call.pages_per_sequence();
  for (std::int64_t key = 0; key < call.key_len; key += call.page_size) {
    const auto page = static_cast<std::size_t>(first + key / call.page_size);
    append(table[page] * call.page_size, std::min(call.page_size, call.key_len - key));
  }
}

}  // namespace jit::inline v1
