// Random operands of fp8_attention, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/kernels/fp8_attention.hpp"
#include "kernels/normal_pool.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// One call: sequences of equal length.
struct Fp8AttentionCall {
  std::int64_t num_sequences = 1;
  std::int64_t query_len = 0;  // of each
  std::int64_t key_len = 0;    // of each
  std::int64_t num_heads = 16;
  std::int64_t num_kv_heads = 2;
  std::int64_t head_dim = 128;
  std::int64_t head_dim_v = 128;
  std::int64_t page_size = 0;  // 0: keys lie contiguous; else in pages that are anywhere
  bool causal = true;
  std::int64_t window_left = -1;
  std::int64_t window_right = -1;
  float softcap = 0;
  bool sinks = false;
  bool fp8 = false;  // output
  std::int64_t accum_interval = 1;
  std::int64_t pack_gqa = 0;
  std::int64_t num_splits = 0;
  bool invariant = false;
  bool programmatic = true;

  std::int64_t num_query_tokens() const { return num_sequences * query_len; }
  std::int64_t pages_per_sequence() const { return (key_len + page_size - 1) / page_size; }
  // That memory has room for.
  std::int64_t num_key_tokens() const {
    return num_sequences * (page_size == 0 ? key_len : pages_per_sequence() * page_size);
  }
  std::size_t output_elements() const {
    return static_cast<std::size_t>(num_query_tokens() * num_heads * head_dim_v);
  }
  DType stored_type() const { return fp8 ? DType::kE4M3 : DType::kBF16; }
  std::size_t output_bytes() const { return output_elements() * bytes_of(stored_type()); }
  std::size_t lses() const { return static_cast<std::size_t>(num_query_tokens() * num_heads); }
  // Of the keys and values that there are.
  std::uint64_t key_value_bytes() const;
  // Each operand read once, each output written once; without LSEs.
  std::uint64_t bytes() const;

  std::vector<std::int32_t> cu_seqlens_q() const;
  std::vector<std::int32_t> cu_seqlens_k() const;
  std::vector<std::int32_t> page_table() const;  // of shuffled pages, always the same
  std::vector<std::uint16_t> sink_scores() const;
};

// Where in the pool each operand begins.
enum Fp8AttentionSalt : std::size_t { kFp8QuerySalt = 0, kFp8KeySalt = 1, kFp8ValueSalt = 2 };

inline constexpr float kFp8AttentionScale = 0.01F;  // of FP8 output

// What operands are filled from. Queries have a pool of their own: one that met itself among the
// keys would be all that its row sees.
struct Fp8AttentionPools {
  Fp8AttentionPools(Driver& driver, std::uint64_t seed)
      : queries(driver, ~seed, DType::kE4M3), keys(driver, seed, DType::kE4M3) {}

  NormalPool queries;
  NormalPool keys;  // and values
};

// The inputs of one call in device memory.
struct Fp8AttentionSet {
  Fp8AttentionSet(Driver& driver, const Fp8AttentionCall& call);
  // Enqueues what is random. Lifetime: the pools live until that is done.
  void fill(const Fp8AttentionPools& pools, Stream stream);

  DeviceBuffer q, k, v, cu_seqlens_q, cu_seqlens_k, seqused_k, page_table, sinks, output_scale;
};

// Inputs and shapes; no outputs, no workspace.
kernels::Fp8AttentionArgs fp8_attention_args(const Fp8AttentionCall& call,
                                             const Fp8AttentionSet& set);

// What the keys (kFp8KeySalt) or values (kFp8ValueSalt) of one sequence are, [keys, h_kv,
// elements], appended to `to`.
void append_fp8_keys(const Fp8AttentionCall& call, const NormalPool& pool, Fp8AttentionSalt salt,
                     std::int64_t sequence, std::vector<std::byte>& to);

}  // namespace jit::inline v1
