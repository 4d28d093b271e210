// Random operands of mqa_logits, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/kernels/mqa_logits.hpp"
#include "kernels/mqa_device_pool.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// What each token sees. kCausal: one sequence, whose last tokens these are. kPacked: four sequences
// of equal length side by side, each causal.
enum class MqaRanges : std::uint8_t { kCausal, kPacked };
std::string_view name_of(MqaRanges ranges) noexcept;  // "causal"

// One call.
struct MqaCall {
  std::int64_t num_tokens = 0;
  std::int64_t num_keys = 0;
  std::int64_t num_heads = 64;
  std::int64_t head_dim = 128;
  DType logits_type = DType::kF32;
  MqaRanges ranges = MqaRanges::kCausal;
  bool compressed_logits = false;
  bool clean_logits = false;

  std::vector<std::int32_t> starts() const;
  std::vector<std::int32_t> ends() const;
  std::uint64_t scores() const;  // keys that tokens see
  // Each key and query read once, each score written once.
  std::uint64_t bytes() const;
  double flops() const;  // of the products
};

// The operands of one call in device memory.
struct MqaSet {
  MqaSet(Driver& driver, const MqaCall& call);
  // Enqueues what is random.
  void fill(const MqaDevicePool& pool, Stream stream);

  DeviceBuffer query, keys, key_scales, weights, starts, ends, logits;
};

kernels::MqaLogitsArgs mqa_args(const MqaCall& call, const MqaSet& set);

// Judges logits of a call, memory of MqaSet that was filled with 0xFF bytes before the launch:
// every position whether it was written as it must be, and the rows of some tokens against the
// float64 reference. No tokens: all rows. Returns: empty, or what is wrong.
std::string judge_mqa(const MqaCall& call, const MqaDevicePool& pool,
                      std::span<const std::byte> logits, std::span<const std::int64_t> sample);

}  // namespace jit::inline v1
