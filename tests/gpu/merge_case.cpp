#include "gpu/merge_case.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace jit::test {
namespace {

std::size_t spread(const MergeCase& merge, std::uint32_t stride, std::size_t element_bytes) {
  if (merge.rows() == 0) return 0;
  return ((merge.rows() - 1) * stride + merge.head_size) * element_bytes;
}

std::size_t output_element_bytes(const MergeCase& merge) {
  return merge.fp8() ? 1 : bytes_of(merge.type);
}

bool same_bytes(std::span<const std::byte> a, std::span<const std::byte> b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end());
}

template <class T>
std::span<const std::byte> bytes_in(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

std::vector<float> floats_in(const Image& image) {
  std::vector<float> values(image.payload().size() / sizeof(float));
  if (!values.empty()) {
    std::memcpy(values.data(), image.payload().data(), values.size() * sizeof(float));
  }
  return values;
}

std::string judge_guards(const MergeOutcome& outcome) {
  const std::array<std::pair<const char*, const Image*>, 7> images{{
      {"prefix", &outcome.prefix},
      {"suffix", &outcome.suffix},
      {"prefix LSE", &outcome.prefix_lse},
      {"suffix LSE", &outcome.suffix_lse},
      {"output", &outcome.output},
      {"output LSE", &outcome.output_lse},
      {"scales", &outcome.scales},
  }};
  for (const auto& [name, image] : images) {
    const std::string damage = image->guard_damage();
    if (!damage.empty()) return fmt::format("{}: {}", name, damage);
  }
  return {};
}

std::string judge_inputs(const MergeInputs& inputs, const MergeOutcome& outcome) {
  if (!same_bytes(outcome.prefix.payload(), inputs.prefix)) return "the prefix was written";
  if (!same_bytes(outcome.suffix.payload(), inputs.suffix)) return "the suffix was written";
  if (!same_bytes(outcome.prefix_lse.payload(), bytes_in(inputs.prefix_lse)) ||
      !same_bytes(outcome.suffix_lse.payload(), bytes_in(inputs.suffix_lse))) {
    return "an input LSE was written";
  }
  return {};
}

std::string judge_untouched(const MergeCase& merge, const MergeOutcome& outcome) {
  const auto is_poison = [&](std::byte byte) { return byte == merge.poison; };
  const auto lse = outcome.output_lse.payload();
  if (!merge.has_lse && !std::all_of(lse.begin(), lse.end(), is_poison)) {
    return "an LSE was written that nobody asked for";
  }
  const auto output = outcome.output.payload();
  const std::size_t element = output_element_bytes(merge);
  const std::size_t row_bytes = merge.head_size * element;
  const std::size_t stride_bytes = merge.output_stride * element;
  for (std::uint64_t row = 0; row + 1 < merge.rows(); ++row) {
    const auto padding = output.subspan(row * stride_bytes + row_bytes, stride_bytes - row_bytes);
    if (!std::all_of(padding.begin(), padding.end(), is_poison)) {
      return fmt::format("the padding of row {} was written", row);
    }
  }
  return {};
}

// Every fp32 between the scales is as it was.
std::string judge_between_scales(const MergeCase& merge, const MergeOutcome& outcome) {
  const auto bytes = outcome.scales.payload();
  std::vector<bool> is_scale(bytes.size() / sizeof(float));
  for (std::uint64_t token = 0; token < merge.tokens; ++token) {
    for (std::uint64_t i = 0; i < merge.scales_per_token(); ++i) {
      is_scale[token * merge.scale_token_stride() + i * merge.scale_group_stride()] = true;
    }
  }
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (!is_scale[i / sizeof(float)] && bytes[i] != merge.poison) {
      return fmt::format("element {} of the scales, between them, was written", i / sizeof(float));
    }
  }
  return {};
}

reference::MergeProblem problem_of(const MergeCase& merge, const MergeInputs& inputs) {
  reference::MergeProblem problem;
  problem.input_type = merge.type;
  problem.fp8_output = merge.fp8();
  problem.num_tokens = merge.tokens;
  problem.num_heads = merge.heads;
  problem.head_size = merge.head_size;
  problem.num_context_tokens = merge.context_tokens();
  problem.input_head_stride = merge.input_stride;
  problem.output_head_stride = merge.output_stride;
  problem.output_scale = merge.scale.value_or(1.0F);
  problem.group_size = merge.group;
  problem.ue8m0_scales = merge.ue8m0;
  problem.scale_token_stride = merge.scale_token_stride();
  problem.scale_group_stride = merge.scale_group_stride();
  problem.prefix_output = inputs.prefix.data();
  problem.suffix_output = inputs.suffix.data();
  problem.prefix_lse = inputs.prefix_lse.data();
  problem.suffix_lse = inputs.suffix_lse.data();
  return problem;
}

}  // namespace

std::size_t MergeCase::input_bytes() const { return spread(*this, input_stride, bytes_of(type)); }

std::size_t MergeCase::output_bytes() const {
  return spread(*this, output_stride, output_element_bytes(*this));
}

std::uint64_t MergeCase::scales_per_token() const noexcept {
  return group == 0 ? 0 : std::uint64_t{heads} * (head_size / group);
}

std::uint64_t MergeCase::scale_token_stride() const noexcept {
  if (group == 0) return 0;
  if (layout == ScaleLayout::kRowMajor) return scales_per_token();
  return layout == ScaleLayout::kWideRow ? scales_per_token() + 3 : 1;
}

std::uint64_t MergeCase::scale_group_stride() const noexcept {
  if (group == 0) return 0;
  if (layout == ScaleLayout::kColumnMajor) return tokens;
  return layout == ScaleLayout::kAlignedColumn ? (std::uint64_t{tokens} + 3) / 4 * 4 : 1;
}

std::size_t MergeCase::scale_bytes() const {
  const bool by_token = layout == ScaleLayout::kRowMajor || layout == ScaleLayout::kWideRow;
  return sizeof(float) *
         (by_token ? tokens * scale_token_stride() : scales_per_token() * scale_group_stride());
}

std::string MergeCase::text() const {
  std::string kind;
  if (scale) kind = fmt::format("->e4m3 scale {}", *scale);
  if (group != 0) {
    kind = fmt::format("->e4m3 group {}{} layout {}", group, ue8m0 ? " ue8m0" : "",
                       static_cast<int>(layout));
  }
  return fmt::format(
      "{}{}{}{} n={} h={} d={} context={} strides={}/{} pattern={} poison={:#x}{} seed={}",
      name_of(type), kind, has_lse ? " +lse" : "", programmatic ? " programmatic" : "", tokens,
      heads, head_size, context_tokens(), input_stride, output_stride, static_cast<int>(pattern),
      static_cast<unsigned>(poison), shifted ? " shifted" : "", seed);
}

Verdict judge(const MergeCase& merge, const MergeInputs& inputs, const MergeOutcome& outcome) {
  Verdict verdict;
  verdict.wrong = judge_guards(outcome);
  if (verdict.wrong.empty()) verdict.wrong = judge_inputs(inputs, outcome);
  if (verdict.wrong.empty()) verdict.wrong = judge_untouched(merge, outcome);
  if (verdict.wrong.empty()) verdict.wrong = judge_between_scales(merge, outcome);
  if (!verdict.wrong.empty()) return verdict;

  const std::vector<float> lse = floats_in(outcome.output_lse);
  const std::vector<float> scales = floats_in(outcome.scales);
  const reference::MergeProblem problem = problem_of(merge, inputs);
  verdict.check = reference::check_merge(problem, outcome.output.payload().data(),
                                         merge.has_lse ? lse.data() : nullptr, scales.data());
  if (verdict.check.passed(problem)) return verdict;
  const reference::MergeCheck& check = verdict.check;
  verdict.wrong = fmt::format(
      "{} of {} elements, {} LSEs and {} of {} scales are wrong, {} elements identical: {}",
      check.wrong, check.elements, check.wrong_lse, check.wrong_scales, check.scales,
      check.identical, check.first_failure);
  return verdict;
}

}  // namespace jit::test
