#include "gpu/fp8_attention_case.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <utility>

#include "gpu/images.hpp"
#include "gpu/written.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kHeadPadding = 16;
constexpr std::int64_t kTokenPadding = 32;
constexpr std::int64_t kPagePadding = 64;
constexpr std::int64_t kSparePages = 3;
constexpr std::int64_t kSpareColumns = 2;

std::int64_t sum_of(const std::vector<std::int32_t>& lengths) {
  return std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
}

std::int64_t largest_of(const std::vector<std::int32_t>& lengths, std::int64_t bound) {
  if (lengths.empty()) return bound;
  return std::max<std::int64_t>(*std::max_element(lengths.begin(), lengths.end()), bound);
}

struct Shape {
  std::int64_t tokens, heads, dim;
};

HeadsExtent extent_of(Fp8Layout layout, const Shape& shape, std::int64_t page_size = 0) {
  const auto [tokens, heads, dim] = shape;
  const std::int64_t together = page_size == 0 ? tokens : page_size;
  HeadsExtent extent{tokens, heads, dim, heads * dim, dim};
  std::int64_t padding = 0;
  if (layout == Fp8Layout::kPadded) {
    extent.token_stride = heads * (dim + kHeadPadding) + kTokenPadding;
    extent.head_stride = dim + kHeadPadding;
    padding = kPagePadding;
  } else if (layout == Fp8Layout::kHeadMajor) {
    extent.token_stride = dim;
    extent.head_stride = together * dim;
  }
  extent.page_size = page_size;
  const std::int64_t page = layout == Fp8Layout::kHeadMajor ? heads * extent.head_stride
                                                            : page_size * extent.token_stride;
  if (page_size != 0) extent.page_stride = page + padding;
  return extent;
}

std::string judge_guards(const Fp8Outcome& outcome) {
  const std::array<std::pair<const char*, const Image*>, 16> images{{
      {"q", &outcome.q},
      {"k", &outcome.k},
      {"v", &outcome.v},
      {"cu_seqlens_q", &outcome.cu_seqlens_q},
      {"cu_seqlens_k", &outcome.cu_seqlens_k},
      {"seqused_q", &outcome.seqused_q},
      {"seqused_k", &outcome.seqused_k},
      {"page_table", &outcome.page_table},
      {"q_descale", &outcome.q_factors},
      {"k_descale", &outcome.k_factors},
      {"v_descale", &outcome.v_factors},
      {"sinks", &outcome.sinks},
      {"output", &outcome.output},
      {"lse", &outcome.lse},
      {"workspace", &outcome.workspace},
      {"counters", &outcome.counters},
  }};
  return first_guard_damage(images);
}

std::string judge_inputs(const Fp8Inputs& inputs, const Fp8Outcome& outcome) {
  if (!holds(outcome.q, inputs.q)) return "q was written";
  if (!holds(outcome.k, inputs.k)) return "k was written";
  if (!holds(outcome.v, inputs.v)) return "v was written";
  if (!holds(outcome.cu_seqlens_q, inputs.cu_seqlens_q)) return "cu_seqlens_q was written";
  if (!holds(outcome.cu_seqlens_k, inputs.cu_seqlens_k)) return "cu_seqlens_k was written";
  if (!holds(outcome.seqused_q, inputs.seqused_q)) return "seqused_q was written";
  if (!holds(outcome.seqused_k, inputs.seqused_k)) return "seqused_k was written";
  if (!holds(outcome.page_table, inputs.page_table)) return "page_table was written";
  if (!holds(outcome.q_factors, inputs.q_factors)) return "q_descale was written";
  if (!holds(outcome.k_factors, inputs.k_factors)) return "k_descale was written";
  if (!holds(outcome.v_factors, inputs.v_factors)) return "v_descale was written";
  if (!holds(outcome.sinks, inputs.sinks)) return "sinks were written";
  const auto counters = outcome.counters.payload();
  const bool zero = std::ranges::all_of(counters, [](std::byte b) { return b == std::byte{0}; });
  return zero ? "" : "the counters of work are not 0 again";
}

std::string judge_untouched(const Fp8Case& fp8, const Fp8Inputs& inputs,
                            const Fp8Outcome& outcome) {
  const HeadsExtent out = fp8.output();
  const std::int64_t tokens = fp8.query_tokens();
  Written written(out.elements());
  Written lse(static_cast<std::size_t>(tokens * fp8.heads));
  for (std::size_t b = 0; b < fp8.query_lengths.size(); ++b) {
    const std::int64_t first = inputs.cu_seqlens_q[b];
    for (std::int64_t head = 0; head < fp8.heads; ++head) {
      for (std::int64_t i = 0; i < fp8.query_lengths[b]; ++i) {
        written.add(out.at(first + i, head), out.dim);
      }
      if (!fp8.has_lse) continue;
      lse.add(static_cast<std::size_t>(head * tokens + first), fp8.query_lengths[b]);
    }
  }
  const std::size_t element = bytes_of(fp8.output_type());
  std::string wrong = written.judge("the output", outcome.output, element, fp8.poison);
  if (wrong.empty()) wrong = lse.judge("the LSE", outcome.lse, 4, fp8.poison);
  return wrong;
}

std::string text_of(const std::vector<std::int32_t>& lengths) {
  if (lengths.size() <= 8) return fmt::format("({})", fmt::join(lengths, ","));
  return fmt::format("({} lengths, {} in all)", lengths.size(), sum_of(lengths));
}

// Of queries and keys that meet in one sequence.
std::int64_t meetings(const Fp8Case& fp8, std::int64_t queries, std::int64_t keys) {
  const std::int64_t square = std::min(queries, keys);
  std::int64_t seen = fp8.causal ? square * keys - square * square / 2 : queries * keys;
  const bool bounded = fp8.window_left >= 0 && (fp8.causal || fp8.window_right >= 0);
  if (bounded) {
    const std::int64_t right = fp8.causal ? 0 : fp8.window_right;
    seen = std::min(seen, queries * (fp8.window_left + right + 1));
  }
  return seen;
}

}  // namespace

std::int64_t Fp8Case::query_tokens() const noexcept {
  return 2 * outside + sum_of(query_lengths) + std::max<std::int64_t>(query_slack, 0) * sequences();
}

std::int64_t Fp8Case::key_tokens() const noexcept {
  if (page_size != 0) return num_pages() * page_size;
  if (!has_key_places()) return query_tokens();
  return 2 * outside + sum_of(key_lengths) + std::max<std::int64_t>(key_slack, 0) * sequences();
}

std::int64_t Fp8Case::longest_query() const noexcept {
  return largest_of(query_lengths, query_bound);
}

std::int64_t Fp8Case::longest_key() const noexcept {
  return largest_of(lengths_of_keys(), key_bound);
}

std::int64_t Fp8Case::packed_heads() const noexcept {
  if (pack_gqa != 0) return pack_gqa;
  for (const std::int64_t packed : {16, 8, 4}) {
    if (ratio() % packed == 0) return packed;
  }
  return 1;
}

double Fp8Case::effective_scale() const noexcept {
  if (softmax_scale != 0) return static_cast<double>(softmax_scale);
  return 1.0 / std::sqrt(static_cast<double>(head_dim));
}

std::int64_t Fp8Case::used_pages() const noexcept {
  std::int64_t pages = 0;
  for (const std::int32_t length : lengths_of_keys()) {
    pages += (length + page_size - 1) / page_size;
  }
  return pages;
}

std::int64_t Fp8Case::num_pages() const noexcept { return used_pages() + kSparePages; }

std::int64_t Fp8Case::max_pages() const noexcept {
  return (longest_key() + page_size - 1) / page_size + kSpareColumns;
}

std::int64_t Fp8Case::table_stride() const noexcept {
  return max_pages() + (layout == Fp8Layout::kPadded ? 5 : 0);
}

HeadsExtent Fp8Case::queries() const noexcept {
  return extent_of(layout, {query_tokens(), heads, head_dim});
}

HeadsExtent Fp8Case::keys() const noexcept {
  return extent_of(layout, {key_tokens(), kv_heads, head_dim}, page_size);
}

HeadsExtent Fp8Case::values() const noexcept {
  return extent_of(layout, {key_tokens(), kv_heads, head_dim_v}, page_size);
}

HeadsExtent Fp8Case::output() const noexcept {
  return extent_of(layout, {query_tokens(), heads, head_dim_v});
}

std::int64_t Fp8Case::factor_sequence_stride() const noexcept {
  switch (factors) {
    case Fp8Factors::kOrdinary: return kv_heads + 3;
    case Fp8Factors::kExtreme: return kv_heads;
    case Fp8Factors::kOfSequences: return 1;
    default: return 0;
  }
}

std::int64_t Fp8Case::factor_head_stride() const noexcept {
  switch (factors) {
    case Fp8Factors::kOrdinary:
    case Fp8Factors::kExtreme: return 1;
    case Fp8Factors::kOfHeads: return 2;
    default: return 0;
  }
}

std::int64_t Fp8Case::factor_elements() const noexcept {
  if (factors == Fp8Factors::kNone || sequences() == 0) return 0;
  return (sequences() - 1) * factor_sequence_stride() + (kv_heads - 1) * factor_head_stride() + 1;
}

std::int64_t Fp8Case::scores() const noexcept {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < query_lengths.size(); ++i) {
    sum += meetings(*this, query_lengths[i], lengths_of_keys()[i]);
  }
  return sum * heads;
}

std::string Fp8Case::text() const {
  std::string text = fmt::format(
      "q={} k={} slack={}/{} outside={} page={} h={}/{} d={}/{}{} window={}/{} softcap={}",
      text_of(query_lengths), key_lengths.empty() ? "q" : text_of(key_lengths), query_slack,
      key_slack, outside, page_size, heads, kv_heads, head_dim, head_dim_v, causal ? " causal" : "",
      window_left, window_right, softcap);
  if (fp8()) text += fmt::format(" e4m3 scale {}", *scale);
  text += fmt::format(
      "{}{}{}{}{} descales={} interval={} pack={} splits={}{} workers={} softmax={} layout={} "
      "bounds={}/{} pattern={} poison={:#x} first={} seed={}",
      sinks ? " sinks" : "", has_lse ? " +lse" : "", counters ? " counters" : "",
      programmatic ? " programmatic" : "", tells_lengths ? "" : " lengths untold",
      static_cast<int>(factors), accum_interval, pack_gqa, num_splits,
      invariant ? " invariant" : "", workers, softmax_scale, static_cast<int>(layout), query_bound,
      key_bound, static_cast<int>(pattern), static_cast<unsigned>(poison), first_sequence, seed);
  return text;
}

std::string judge_surroundings(const Fp8Case& fp8, const Fp8Inputs& inputs,
                               const Fp8Outcome& outcome) {
  std::string wrong = judge_guards(outcome);
  if (wrong.empty()) wrong = judge_inputs(inputs, outcome);
  if (wrong.empty()) wrong = judge_untouched(fp8, inputs, outcome);
  return wrong;
}

}  // namespace jit::test
