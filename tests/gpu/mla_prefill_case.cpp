#include "gpu/mla_prefill_case.hpp"

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

constexpr std::int64_t kRopeDim = 64;
constexpr std::int64_t kHeadPadding = 16;
constexpr std::int64_t kTokenPadding = 32;

std::int64_t sum_of(const std::vector<std::int32_t>& lengths) {
  return std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
}

HeadsExtent extent_of(MlaLayout layout, std::int64_t tokens, std::int64_t heads, std::int64_t dim) {
  switch (layout) {
    case MlaLayout::kPadded:
      return {tokens, heads, dim, heads * (dim + kHeadPadding) + kTokenPadding, dim + kHeadPadding};
    case MlaLayout::kHeadMajor: return {tokens, heads, dim, dim, tokens * dim};
    default: return {tokens, heads, dim, heads * dim, dim};
  }
}

std::string judge_guards(const MlaOutcome& outcome) {
  const std::array<std::pair<const char*, const Image*>, 10> images{{
      {"q", &outcome.q},
      {"k", &outcome.k},
      {"v", &outcome.v},
      {"k_rope", &outcome.k_rope},
      {"cu_seqlens_q", &outcome.cu_seqlens_q},
      {"cu_seqlens_k", &outcome.cu_seqlens_k},
      {"output", &outcome.output},
      {"lse", &outcome.lse},
      {"scales", &outcome.scales},
      {"counters", &outcome.counters},
  }};
  return first_guard_damage(images);
}

std::string judge_inputs(const MlaInputs& inputs, const MlaOutcome& outcome) {
  if (!holds(outcome.q, inputs.q)) return "q was written";
  if (!holds(outcome.k, inputs.k)) return "k was written";
  if (!holds(outcome.v, inputs.v)) return "v was written";
  if (!holds(outcome.k_rope, inputs.k_rope)) return "k_rope was written";
  if (!holds(outcome.cu_seqlens_q, inputs.cu_seqlens_q)) return "cu_seqlens_q was written";
  if (!holds(outcome.cu_seqlens_k, inputs.cu_seqlens_k)) return "cu_seqlens_k was written";
  const auto counters = outcome.counters.payload();
  const bool zero = std::ranges::all_of(counters, [](std::byte b) { return b == std::byte{0}; });
  return zero ? "" : "the counters of work are not 0 again";
}

std::string judge_untouched(const MlaCase& mla, const MlaInputs& inputs,
                            const MlaOutcome& outcome) {
  const HeadsExtent out = mla.output();
  const std::int64_t tokens = mla.query_tokens();
  const std::int64_t scales = mla.scales_per_token();
  Written written(out.elements());
  Written lse(static_cast<std::size_t>(tokens * mla.heads));
  Written group_scales(static_cast<std::size_t>(mla.scale_elements()));
  for (std::int64_t t = inputs.cu_seqlens_q.front(); t < inputs.cu_seqlens_q.back(); ++t) {
    for (std::int64_t head = 0; head < mla.heads; ++head) {
      written.add(out.at(t, head), out.dim);
      if (mla.has_lse) lse.add(static_cast<std::size_t>(head * tokens + t), 1);
    }
    for (std::int64_t i = 0; i < scales; ++i) {
      group_scales.add(
          static_cast<std::size_t>(t * mla.scale_token_stride() + i * mla.scale_group_stride()), 1);
    }
  }
  const std::size_t element = bytes_of(mla.output_type());
  std::string wrong = written.judge("the output", outcome.output, element, mla.poison);
  if (wrong.empty()) wrong = lse.judge("the LSE", outcome.lse, 4, mla.poison);
  if (wrong.empty()) wrong = group_scales.judge("the scales", outcome.scales, 4, mla.poison);
  return wrong;
}

std::string text_of(const std::vector<std::int32_t>& lengths) {
  if (lengths.size() <= 8) return fmt::format("({})", fmt::join(lengths, ","));
  return fmt::format("({} lengths, {} in all)", lengths.size(), sum_of(lengths));
}

}  // namespace

std::int64_t MlaCase::query_tokens() const noexcept { return 2 * outside + sum_of(query_lengths); }

std::int64_t MlaCase::key_tokens() const noexcept {
  return 2 * outside + sum_of(lengths_of_keys());
}

double MlaCase::effective_scale() const noexcept {
  if (softmax_scale != 0) return static_cast<double>(softmax_scale);
  return 1.0 / std::sqrt(static_cast<double>(head_dim));
}

HeadsExtent MlaCase::queries() const noexcept {
  return extent_of(layout, query_tokens(), heads, head_dim);
}

HeadsExtent MlaCase::keys() const noexcept {
  const std::int64_t dim = rope_apart ? head_dim - kRopeDim : head_dim;
  if (layout != MlaLayout::kTail) return extent_of(layout, key_tokens(), kv_heads, dim);
  const std::int64_t both = dim + head_dim_v;
  return {key_tokens(), kv_heads, dim, kv_heads * both, both};
}

HeadsExtent MlaCase::values() const noexcept {
  if (layout != MlaLayout::kTail) return extent_of(layout, key_tokens(), kv_heads, head_dim_v);
  const HeadsExtent k = keys();
  return {key_tokens(), kv_heads, head_dim_v, k.token_stride, k.head_stride, k.dim};
}

HeadsExtent MlaCase::rope() const noexcept {
  const std::int64_t padding = layout == MlaLayout::kPadded ? kTokenPadding : 0;
  return {key_tokens(), rope_apart ? 1 : 0, kRopeDim, kRopeDim + padding, kRopeDim};
}

HeadsExtent MlaCase::output() const noexcept {
  return extent_of(layout, query_tokens(), heads, head_dim_v);
}

std::int64_t MlaCase::scales_per_token() const noexcept {
  return group == 0 ? 0 : heads * (head_dim_v / group);
}

std::int64_t MlaCase::scale_token_stride() const noexcept {
  if (group == 0) return 0;
  if (scale_layout == ScaleLayout::kRowMajor) return scales_per_token();
  return scale_layout == ScaleLayout::kWideRow ? scales_per_token() + 3 : 1;
}

std::int64_t MlaCase::scale_group_stride() const noexcept {
  if (group == 0) return 0;
  if (scale_layout == ScaleLayout::kColumnMajor) return query_tokens();
  return scale_layout == ScaleLayout::kAlignedColumn ? (query_tokens() + 3) / 4 * 4 : 1;
}

std::int64_t MlaCase::scale_elements() const noexcept {
  const bool by_token =
      scale_layout == ScaleLayout::kRowMajor || scale_layout == ScaleLayout::kWideRow;
  return by_token ? query_tokens() * scale_token_stride()
                  : scales_per_token() * scale_group_stride();
}

std::int64_t MlaCase::scores() const noexcept {
  std::int64_t sum = 0;
  for (std::size_t i = 0; i < query_lengths.size(); ++i) {
    const std::int64_t queries = query_lengths[i];
    const std::int64_t keys = lengths_of_keys()[i];
    const std::int64_t hidden = causal ? std::min(queries, keys) * std::min(queries, keys) / 2 : 0;
    sum += (causal ? std::min(queries, keys) : queries) * keys - hidden;
  }
  return sum * heads;
}

std::string MlaCase::text() const {
  std::string kind(name_of(type));
  if (scale) kind = fmt::format("e4m3 scale {}", *scale);
  if (group != 0) {
    kind = fmt::format("e4m3 group {}{} layout {}", group, ue8m0 ? " ue8m0" : "",
                       static_cast<int>(scale_layout));
  }
  return fmt::format(
      "q={} k={} outside={} h={}/{} d={}/{}{}{} {}{}{}{} workers={} softmax={} layout={} "
      "pattern={} "
      "poison={:#x} seed={}",
      text_of(query_lengths), key_lengths.empty() ? "q" : text_of(key_lengths), outside, heads,
      kv_heads, head_dim, head_dim_v, causal ? " causal" : "", rope_apart ? " rope" : "", kind,
      has_lse ? " +lse" : "", counters ? " counters" : "", programmatic ? " programmatic" : "",
      workers, softmax_scale, static_cast<int>(layout), static_cast<int>(pattern),
      static_cast<unsigned>(poison), seed);
}

std::string judge_surroundings(const MlaCase& mla, const MlaInputs& inputs,
                               const MlaOutcome& outcome) {
  std::string wrong = judge_guards(outcome);
  if (wrong.empty()) wrong = judge_inputs(inputs, outcome);
  if (wrong.empty()) wrong = judge_untouched(mla, inputs, outcome);
  return wrong;
}

}  // namespace jit::test
