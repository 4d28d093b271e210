// Fp8Case: one call of fp8_attention, its operands, and what it left behind.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "gpu/guarded_buffer.hpp"
#include "gpu/heads.hpp"
#include "jit/value.hpp"

namespace jit::test {

// What queries, keys and values look like; N(0, 1) unless said otherwise.
enum class Fp8Pattern : std::uint8_t {
  kOrdinary,
  kSharp,     // queries eight times as large: a few keys count
  kPeaked,    // and keys: one key counts
  kUniform,   // queries are 0: all keys count the same
  kRising,    // the later a key, the more it counts
  kFalling,   // the earlier
  kOutliers,  // now and then a value 64 times as large
  kBias,      // queries are 0, values U(0, 1): sums grow with the keys
  kShifted,   // values N(1, 1)
};
inline constexpr std::uint8_t kFp8Patterns = 7;  // of the grids: those without a bias

// What factors of queries, keys and values look like.
enum class Fp8Factors : std::uint8_t {
  kNone,         // null
  kOrdinary,     // U(0, 2) for every sequence and key head
  kExtreme,      // 2^-6 or 8
  kOne,          // one for all: strides 0
  kOfHeads,      // the same for every sequence
  kOfSequences,  // the same for every head
};
inline constexpr std::uint8_t kFp8Factors = 6;

// How operands lie in memory; what is between their elements is NaN.
enum class Fp8Layout : std::uint8_t {
  kPacked,     // strides left at 0
  kPadded,     // every head, token and page is followed by padding
  kHeadMajor,  // [h, n, d], of pages [pages, h_kv, page_size, d]
};
inline constexpr std::uint8_t kFp8Layouts = 3;

struct Fp8Case {
  // Of the tokens that count.
  std::vector<std::int32_t> query_lengths{};
  std::vector<std::int32_t> key_lengths{};  // empty: those of the queries, given once
  // Tokens after those of each sequence that are its own by cu_seqlens but not by seqused; below 0:
  // there is no seqused. With pages there always is one of keys.
  std::int64_t query_slack = -1;
  std::int64_t key_slack = -1;
  std::int64_t outside = 0;  // tokens before the first sequence, and as many after the last
  std::int64_t page_size = 0;
  std::int64_t heads = 8;
  std::int64_t kv_heads = 1;
  std::int64_t head_dim = 128;
  std::int64_t head_dim_v = 128;
  bool causal = true;
  std::int64_t window_left = -1;
  std::int64_t window_right = -1;
  float softcap = 0;
  float softmax_scale = 0;
  bool sinks = false;
  Fp8Factors factors = Fp8Factors::kNone;
  bool has_lse = true;
  std::optional<float> scale{};  // set: e4m3 output
  std::int64_t accum_interval = 1;
  std::int64_t pack_gqa = 0;
  std::int64_t num_splits = 1;
  bool invariant = false;
  bool counters = false;
  std::int64_t workers = 0;
  bool programmatic = true;
  bool tells_lengths = true;  // max_query_tokens and max_key_tokens are given
  // The lengths that are told, and that page tables have room for, if larger than the largest.
  std::int64_t query_bound = 0;
  std::int64_t key_bound = 0;
  Fp8Layout layout = Fp8Layout::kPacked;
  Fp8Pattern pattern = Fp8Pattern::kOrdinary;
  std::byte poison{0xFF};  // of the outputs before the launch
  // Contents depend on the seed, the sequence's number, which of its keys it is, which of its
  // queries, counted from the last, and the head: on no layout, and on no other sequence.
  std::int64_t first_sequence = 0;  // number of the first one
  std::uint64_t seed = 0;

  std::int64_t sequences() const noexcept { return std::ssize(query_lengths); }
  const std::vector<std::int32_t>& lengths_of_keys() const noexcept {
    return key_lengths.empty() ? query_lengths : key_lengths;
  }
  bool has_key_places() const noexcept { return !key_lengths.empty(); }
  bool has_used_keys() const noexcept { return page_size != 0 || key_slack >= 0; }
  std::int64_t query_tokens() const noexcept;   // the extent of the operand
  std::int64_t key_tokens() const noexcept;     // slots of all pages, with pages
  std::int64_t longest_query() const noexcept;  // or query_bound
  std::int64_t longest_key() const noexcept;    // or key_bound
  std::int64_t ratio() const noexcept { return heads / kv_heads; }
  std::int64_t packed_heads() const noexcept;  // what pack_gqa comes to
  bool fp8() const noexcept { return scale.has_value(); }
  DType output_type() const noexcept { return fp8() ? DType::kE4M3 : DType::kBF16; }
  double effective_scale() const noexcept;  // of the softmax

  // Of pages.
  std::int64_t used_pages() const noexcept;
  std::int64_t num_pages() const noexcept;  // some belong to no sequence
  std::int64_t max_pages() const noexcept;  // of a sequence, by the table
  std::int64_t table_stride() const noexcept;

  HeadsExtent queries() const noexcept;
  HeadsExtent keys() const noexcept;
  HeadsExtent values() const noexcept;
  HeadsExtent output() const noexcept;
  // Of the factors; no elements where there are none.
  std::int64_t factor_sequence_stride() const noexcept;
  std::int64_t factor_head_stride() const noexcept;
  std::int64_t factor_elements() const noexcept;

  // Scores of queries and keys that meet, over all heads: what a reference costs, about.
  std::int64_t scores() const noexcept;
  std::string text() const;
};

// The operands of a case on the host, e4m3.
struct Fp8Inputs {
  std::vector<std::uint8_t> q;
  std::vector<std::uint8_t> k;
  std::vector<std::uint8_t> v;
  std::vector<std::int32_t> cu_seqlens_q;
  std::vector<std::int32_t> cu_seqlens_k;
  std::vector<std::int32_t> seqused_q;
  std::vector<std::int32_t> seqused_k;
  std::vector<std::int32_t> page_table;
  std::vector<float> q_factors;
  std::vector<float> k_factors;
  std::vector<float> v_factors;
  std::vector<std::uint16_t> sinks;
};

// Fresh random operands. Tokens that are used by no sequence are NaN, as is padding; what a page
// table says beyond a sequence's keys is no page.
Fp8Inputs make_inputs(const Fp8Case& fp8);

// Where key `key` of sequence `sequence` lies: a token of keys() and values().
std::int64_t place_of_key(const Fp8Case& fp8, const Fp8Inputs& inputs, std::int64_t sequence,
                          std::int64_t key);

// All buffers after the launch.
struct Fp8Outcome {
  Image q;
  Image k;
  Image v;
  Image cu_seqlens_q;
  Image cu_seqlens_k;
  Image seqused_q;
  Image seqused_k;
  Image page_table;
  Image q_factors;
  Image k_factors;
  Image v_factors;
  Image sinks;
  Image output;
  Image lse;
  Image workspace;
  Image counters;
};

// What is wrong apart from the results themselves: guard bands, inputs, counters, and everything in
// the outputs that is not to be written. Empty if nothing is.
std::string judge_surroundings(const Fp8Case& fp8, const Fp8Inputs& inputs,
                               const Fp8Outcome& outcome);

}  // namespace jit::test
