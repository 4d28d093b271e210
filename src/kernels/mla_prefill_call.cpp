#include "kernels/mla_prefill_call.hpp"

#include <algorithm>
#include <span>

namespace jit::inline v1 {
namespace {

constexpr std::size_t kInputBytes = 2;  // bf16

std::size_t input_bytes(std::int64_t tokens, std::int64_t heads, std::int64_t elements) {
  return static_cast<std::size_t>(tokens * heads * elements) * kInputBytes;
}

std::vector<std::int32_t> cumulative_lengths(std::int64_t sequences, std::int64_t length) {
  std::vector<std::int32_t> starts;
  for (std::int64_t b = 0; b <= sequences; ++b) {
    starts.push_back(static_cast<std::int32_t>(b * length));
  }
  return starts;
}

DeviceBuffer to_device(Driver& driver, const std::vector<std::int32_t>& values) {
  return DeviceBuffer::of(driver, std::span<const std::int32_t>(values));
}

}  // namespace

std::vector<std::int32_t> MlaPrefillCall::cu_seqlens_q() const {
  return cumulative_lengths(num_sequences, query_len);
}

std::vector<std::int32_t> MlaPrefillCall::cu_seqlens_k() const {
  return cumulative_lengths(num_sequences, key_len);
}

std::size_t MlaPrefillCall::output_elements() const {
  return static_cast<std::size_t>(num_query_tokens() * num_heads * head_dim_v);
}

std::size_t MlaPrefillCall::group_scales() const {
  return group == 0 ? 0 : output_elements() / static_cast<std::size_t>(group);
}

double MlaPrefillCall::flops() const {
  double seen = 0;  // by one head of one sequence
  for (std::int64_t i = 0; i < query_len; ++i) {
    const std::int64_t last = causal ? i + key_len - query_len + 1 : key_len;
    seen += static_cast<double>(std::clamp<std::int64_t>(last, 0, key_len));
  }
  return 2 * seen * static_cast<double>(num_sequences * num_heads * (head_dim + head_dim_v));
}

std::uint64_t MlaPrefillCall::bytes() const {
  return input_bytes(num_query_tokens(), num_heads, head_dim) +
         input_bytes(num_key_tokens(), num_kv_heads, head_dim - rope_dim + head_dim_v) +
         input_bytes(num_key_tokens(), 1, rope_dim) + output_bytes() +
         group_scales() * sizeof(float);
}

MlaPrefillSet::MlaPrefillSet(Driver& driver, const MlaPrefillCall& call)
    : q(driver, input_bytes(call.num_query_tokens(), call.num_heads, call.head_dim)),
      k(driver,
        input_bytes(call.num_key_tokens(), call.num_kv_heads, call.head_dim - call.rope_dim)),
      v(driver, input_bytes(call.num_key_tokens(), call.num_kv_heads, call.head_dim_v)),
      k_rope(driver, input_bytes(call.num_key_tokens(), 1, call.rope_dim)),
      cu_seqlens_q(to_device(driver, call.cu_seqlens_q())),
      cu_seqlens_k(to_device(driver, call.cu_seqlens_k())) {}

void MlaPrefillSet::fill(const NormalPool& pool, Stream stream) {
  pool.fill(q, kQuerySalt, stream);
  pool.fill(k, kKeySalt, stream);
  pool.fill(v, kValueSalt, stream);
  pool.fill(k_rope, kRopeSalt, stream);
}

kernels::MlaPrefillArgs mla_prefill_args(const MlaPrefillCall& call, const MlaPrefillSet& set) {
  kernels::MlaPrefillArgs args;
  args.num_sequences = call.num_sequences;
  args.num_query_tokens = call.num_query_tokens();
  args.num_key_tokens = call.num_key_tokens();
  args.num_heads = call.num_heads;
  args.num_kv_heads = call.num_kv_heads;
  args.head_dim = call.head_dim;
  args.head_dim_v = call.head_dim_v;
  args.causal = call.causal;
  args.output_type = call.output_type;
  args.q = set.q.as<void>();
  args.k = set.k.as<void>();
  args.v = set.v.as<void>();
  if (call.rope_dim != 0) args.k_rope = set.k_rope.as<void>();
  args.cu_seqlens_q = set.cu_seqlens_q.as<std::int32_t>();
  args.cu_seqlens_k = set.cu_seqlens_k.as<std::int32_t>();
  return args;
}

}  // namespace jit::inline v1
