// Random operands of mla_prefill, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/kernels/mla_prefill.hpp"
#include "kernels/normal_pool.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// One call: sequences of equal length.
struct MlaPrefillCall {
  std::int64_t num_sequences = 1;
  std::int64_t query_len = 0;  // of each
  std::int64_t key_len = 0;    // of each
  std::int64_t num_heads = 16;
  std::int64_t num_kv_heads = 16;
  std::int64_t head_dim = 192;
  std::int64_t head_dim_v = 128;
  std::int64_t rope_dim = 0;  // last elements of every key that k_rope holds
  bool causal = true;
  DType output_type = DType::kBF16;
  bool fp8 = false;        // by tensor, or by group
  std::int64_t group = 0;  // elements that share a scale
  bool ue8m0 = false;

  std::int64_t num_query_tokens() const { return num_sequences * query_len; }
  std::int64_t num_key_tokens() const { return num_sequences * key_len; }
  std::vector<std::int32_t> cu_seqlens_q() const;
  std::vector<std::int32_t> cu_seqlens_k() const;
  DType stored_type() const { return fp8 ? DType::kE4M3 : output_type; }
  std::size_t output_elements() const;
  std::size_t output_bytes() const { return output_elements() * bytes_of(stored_type()); }
  std::size_t group_scales() const;
  double flops() const;  // of the products with keys that are seen
  // Each operand read once, each output written once; without LSEs.
  std::uint64_t bytes() const;
};

// Where in the pool each operand begins.
enum MlaPrefillSalt : std::size_t { kQuerySalt = 0, kKeySalt = 1, kValueSalt = 2, kRopeSalt = 3 };

// The inputs of one call in device memory.
struct MlaPrefillSet {
  MlaPrefillSet(Driver& driver, const MlaPrefillCall& call);
  // Enqueues what is random. Lifetime: the pool lives until that is done.
  void fill(const NormalPool& pool, Stream stream);

  DeviceBuffer q, k, v, k_rope, cu_seqlens_q, cu_seqlens_k;
};

inline constexpr float kMlaPrefillScale = 0.1F;  // of FP8 output by tensor

// Inputs and shapes; no outputs.
kernels::MlaPrefillArgs mla_prefill_args(const MlaPrefillCall& call, const MlaPrefillSet& set);

}  // namespace jit::inline v1
