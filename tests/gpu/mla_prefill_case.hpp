// MlaCase: one call of mla_prefill, its operands, and what it left behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpu/guarded_buffer.hpp"
#include "gpu/heads.hpp"
#include "gpu/merge_case.hpp"
#include "jit/value.hpp"

namespace jit::test {

// What queries, keys and values look like; N(0, 1) unless said otherwise.
enum class MlaPattern : std::uint8_t {
  kOrdinary,
  kSharp,     // queries eight times as large: a few keys count
  kLevel,     // queries a 64th as large: all keys count about the same
  kRising,    // the later a key, the more it counts
  kFalling,   // the earlier
  kOutliers,  // now and then a value 2^12 times as large
  kNaN,       // now and then in a query and, unless causal, a whole value
};
inline constexpr std::uint8_t kMlaPatterns = 7;

// How operands lie in memory; what is between their elements is NaN.
enum class MlaLayout : std::uint8_t {
  kPacked,     // strides left at 0
  kTail,       // keys and values as one projection makes them, [m, h_kv, dk + dv]
  kPadded,     // every head and every token is followed by padding
  kHeadMajor,  // [h, n, d]
};
inline constexpr std::uint8_t kMlaLayouts = 4;

struct MlaCase {
  std::vector<std::int32_t> query_lengths{};
  std::vector<std::int32_t> key_lengths{};  // empty: those of the queries, given once
  std::int64_t outside = 0;  // tokens before the first sequence, and as many after the last
  std::int64_t heads = 16;
  std::int64_t kv_heads = 16;
  std::int64_t head_dim = 192;
  std::int64_t head_dim_v = 128;
  bool causal = true;
  bool rope_apart = false;
  bool has_lse = true;
  bool counters = false;
  std::int64_t workers = 0;  // 0: as many as there are multiprocessors
  bool programmatic = true;
  DType type = DType::kBF16;
  std::optional<float> scale{};  // set: e4m3 output
  std::int64_t group = 0;        // set: e4m3 output with a scale per group
  bool ue8m0 = false;
  ScaleLayout scale_layout = ScaleLayout::kRowMajor;
  float softmax_scale = 0;
  MlaLayout layout = MlaLayout::kPacked;
  MlaPattern pattern = MlaPattern::kOrdinary;
  std::byte poison{0xFF};  // of the outputs before the launch
  std::uint64_t seed = 0;

  std::int64_t sequences() const noexcept { return std::ssize(query_lengths); }
  const std::vector<std::int32_t>& lengths_of_keys() const noexcept {
    return key_lengths.empty() ? query_lengths : key_lengths;
  }
  std::int64_t query_tokens() const noexcept;
  std::int64_t key_tokens() const noexcept;
  bool fp8() const noexcept { return scale.has_value() || group != 0; }
  DType output_type() const noexcept { return fp8() ? DType::kE4M3 : type; }
  double effective_scale() const noexcept;  // of the softmax

  HeadsExtent queries() const noexcept;
  HeadsExtent keys() const noexcept;  // without what lies apart
  HeadsExtent values() const noexcept;
  HeadsExtent rope() const noexcept;  // no heads unless it lies apart
  HeadsExtent output() const noexcept;
  // Of the scales of groups; all 0 without.
  std::int64_t scales_per_token() const noexcept;
  std::int64_t scale_token_stride() const noexcept;
  std::int64_t scale_group_stride() const noexcept;
  std::int64_t scale_elements() const noexcept;

  // Scores of queries and keys that meet, over all heads: what a reference costs.
  std::int64_t scores() const noexcept;
  std::string text() const;
};

// The operands of a case on the host, bf16.
struct MlaInputs {
  std::vector<std::uint16_t> q;
  std::vector<std::uint16_t> k;
  std::vector<std::uint16_t> v;
  std::vector<std::uint16_t> k_rope;
  std::vector<std::int32_t> cu_seqlens_q;
  std::vector<std::int32_t> cu_seqlens_k;
};

// Fresh random operands. Tokens outside of all sequences are NaN or infinite, padding is NaN.
MlaInputs make_inputs(const MlaCase& mla);

// All buffers after the launch.
struct MlaOutcome {
  Image q;
  Image k;
  Image v;
  Image k_rope;
  Image cu_seqlens_q;
  Image cu_seqlens_k;
  Image output;
  Image lse;
  Image scales;
  Image counters;
};

// What is wrong apart from the results themselves: guard bands, inputs, counters, and everything in
// the outputs that is not to be written. Empty if nothing is.
std::string judge_surroundings(const MlaCase& mla, const MlaInputs& inputs,
                               const MlaOutcome& outcome);

}  // namespace jit::test
