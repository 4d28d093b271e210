#include "kernels/reference/merge_attn_states.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/reference/element.hpp"

namespace jit::inline v1::reference {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// A weight below the smallest normal fp32, e^-87.3, may count as 0 and its side as empty; below
// e^-104 it is 0 in fp32 however subnormals are treated.
constexpr double kSmallestWeight = 0x1p-126;
constexpr double kSurelyEmpty = 104.0;

enum class Source : std::uint8_t { kMerge, kPrefix, kSuffix, kNaN };

struct Row {
  Source source = Source::kMerge;
  double prefix_weight = 0.0;
  double suffix_weight = 0.0;
  double lse = 0.0;
};

Row weigh(const MergeProblem& problem, std::uint32_t token, std::uint64_t lse_index) {
  const auto suffix_raw = static_cast<double>(problem.suffix_lse[lse_index]);
  if (token >= problem.num_context_tokens) return {Source::kSuffix, 0.0, 1.0, suffix_raw};
  const auto prefix_raw = static_cast<double>(problem.prefix_lse[lse_index]);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  if (std::isnan(prefix_raw) || std::isnan(suffix_raw)) return {Source::kNaN, nan, nan, nan};
  const double prefix = std::isinf(prefix_raw) ? -kInfinity : prefix_raw;
  const double suffix = std::isinf(suffix_raw) ? -kInfinity : suffix_raw;
  const double largest = std::max(prefix, suffix);
  if (std::isinf(largest)) return {Source::kPrefix, 1.0, 0.0, -kInfinity};
  const double prefix_share = std::exp(prefix - largest);
  const double suffix_share = std::exp(suffix - largest);
  const double sum = prefix_share + suffix_share;
  Row row{Source::kMerge, prefix_share / sum, suffix_share / sum, largest + std::log(sum)};
  if (suffix - prefix > kSurelyEmpty) row.source = Source::kSuffix;
  if (prefix - suffix > kSurelyEmpty) row.source = Source::kPrefix;
  return row;
}

// The distance to the next representable magnitude of `type` at |value|.
double unit_in_last_place(DType type, double value) {
  const int mantissa_bits = type == DType::kF32 ? 23 : format_of(type).mantissa_bits;
  const int bias = type == DType::kF32 ? 127 : format_of(type).bias;
  int exponent = 0;
  std::frexp(value, &exponent);
  const int binade = value == 0.0 ? 1 - bias : std::max(exponent - 1, 1 - bias);
  return std::ldexp(1.0, binade - mantissa_bits);
}

struct Element {
  double prefix = 0.0;
  double suffix = 0.0;
  double merged = 0.0;
};

Element merge_element(const MergeProblem& problem, const Row& row, std::uint64_t index) {
  Element element;
  if (row.source != Source::kSuffix) {
    element.prefix = load_element(problem.input_type, problem.prefix_output, index);
  }
  if (row.source != Source::kPrefix) {
    element.suffix = load_element(problem.input_type, problem.suffix_output, index);
  }
  switch (row.source) {
    case Source::kPrefix: element.merged = element.prefix; break;
    case Source::kSuffix: element.merged = element.suffix; break;
    case Source::kNaN: element.merged = std::numeric_limits<double>::quiet_NaN(); break;
    case Source::kMerge:
      element.merged = element.prefix * row.prefix_weight + element.suffix * row.suffix_weight;
      break;
  }
  return element;
}

std::uint32_t quantise(double scaled) {
  return std::isnan(scaled) ? 0x7EU : encode(kE4M3Format, scaled, Overflow::kSaturate);
}

// +1 for the same bits, 0 within the tolerance, -1 wrong.
int judge_fp8(const MergeProblem& problem, const Row& row, const Element& element,
              std::uint8_t code) {
  if ((code & 0x7FU) == 0x7FU) return -1;
  const double merged = element.merged;
  const float inverse = 1.0F / problem.output_scale;
  const bool exact = row.source != Source::kMerge || std::isnan(merged) || !std::isnormal(inverse);
  double scaled = merged / static_cast<double>(problem.output_scale);
  const auto through_fp32 = static_cast<double>(static_cast<float>(merged) * inverse);
  if (exact) scaled = through_fp32;
  const std::uint32_t expected = quantise(scaled);
  const std::int64_t steps = steps_between(kE4M3Format, expected, code);
  // A share too small for fp32 may tip a tie that fp32 rounds the other way.
  if (steps == 0 || steps_between(kE4M3Format, quantise(through_fp32), code) == 0) return 1;
  // With a scale of 0 the sign decides, and where the sides cancel rounding decides the sign.
  const double largest = std::max(std::fabs(element.prefix), std::fabs(element.suffix));
  const bool cancelled = std::fabs(merged) <= 1e-6 * largest;
  if (std::isinf(inverse) && cancelled && row.source == Source::kMerge) {
    return (code & 0x7FU) == 0x7EU ? 0 : -1;
  }
  return !exact && steps == 1 ? 0 : -1;
}

int judge_same_type(const MergeProblem& problem, const Row& row, const Element& element,
                    std::uint64_t input_index, const void* output, std::uint64_t output_index) {
  const DType type = problem.input_type;
  const std::size_t bytes = bytes_of(type);
  const double got = load_element(type, output, output_index);
  if (row.source == Source::kPrefix || row.source == Source::kSuffix) {
    const void* from =
        row.source == Source::kPrefix ? problem.prefix_output : problem.suffix_output;
    const bool same =
        std::memcmp(static_cast<const char*>(from) + input_index * bytes,
                    static_cast<const char*>(output) + output_index * bytes, bytes) == 0;
    return same ? 1 : -1;
  }
  if (std::isnan(element.merged)) return std::isnan(got) ? 1 : -1;
  float rounded_storage = 0.0F;
  store_element(type, &rounded_storage, 0, element.merged);
  const double rounded = load_element(type, &rounded_storage, 0);
  if (got == rounded) return 1;
  if (!std::isfinite(got)) return -1;
  const double largest = std::max(std::fabs(element.prefix), std::fabs(element.suffix));
  const double ignored = kSmallestWeight * largest;
  if (type == DType::kF32) {
    const double tolerance = 1e-6 + 4 * unit_in_last_place(type, largest) + ignored;
    return std::fabs(got - element.merged) <= tolerance ? 0 : -1;
  }
  const double weighted =
      std::max({std::fabs(element.prefix * row.prefix_weight),
                std::fabs(element.suffix * row.suffix_weight), std::fabs(rounded)});
  const double tolerance = unit_in_last_place(type, weighted) + ignored;
  return std::fabs(got - rounded) <= tolerance ? 0 : -1;
}

struct Position {
  std::uint32_t token = 0;
  std::uint32_t head = 0;
  std::uint64_t row = 0;
};

void note(MergeCheck& check, const Position& at, const std::string& what) {
  if (!check.first_failure.empty()) return;
  check.first_failure =
      "token " + std::to_string(at.token) + ", head " + std::to_string(at.head) + ": " + what;
}

void check_row(const MergeProblem& problem, const Position& at, const Row& row, const void* output,
               MergeCheck& check) {
  for (std::uint32_t i = 0; i < problem.head_size; ++i) {
    const std::uint64_t input_index = at.row * problem.input_head_stride + i;
    const std::uint64_t output_index = at.row * problem.output_head_stride + i;
    const Element element = merge_element(problem, row, input_index);
    const int verdict =
        problem.fp8_output
            ? judge_fp8(problem, row, element,
                        static_cast<const std::uint8_t*>(output)[output_index])
            : judge_same_type(problem, row, element, input_index, output, output_index);
    ++check.elements;
    if (verdict > 0) ++check.identical;
    if (verdict >= 0) continue;
    ++check.wrong;
    const DType type = problem.fp8_output ? DType::kE4M3 : problem.input_type;
    note(check, at,
         "element " + std::to_string(i) + " is " +
             std::to_string(load_element(type, output, output_index)) + ", the merged value is " +
             std::to_string(element.merged));
  }
}

void check_lse(const Position& at, double expected, float got, MergeCheck& check) {
  const auto value = static_cast<double>(got);
  const bool both_nan = std::isnan(expected) && std::isnan(value);
  if (both_nan || expected == value) return;
  const double error = std::fabs(value - expected) / std::max(1.0, std::fabs(expected));
  check.worst_lse_error = std::max(check.worst_lse_error, error);
  if (error <= 2e-6) return;
  ++check.wrong_lse;
  note(check, at, "the LSE is " + std::to_string(value) + ", expected " + std::to_string(expected));
}

}  // namespace

bool MergeCheck::passed(const MergeProblem& problem) const {
  if (wrong != 0 || wrong_lse != 0) return false;
  double share = 0.0;
  if (problem.fp8_output) {
    share = 0.995;
  } else if (problem.input_type != DType::kF32) {
    share = 0.99;
  }
  // On a handful of elements one unlucky tie is no evidence.
  return elements < 1000 || static_cast<double>(identical) >= share * static_cast<double>(elements);
}

MergeCheck check_merge(const MergeProblem& problem, const void* output, const float* output_lse) {
  MergeCheck check;
  for (std::uint32_t token = 0; token < problem.num_tokens; ++token) {
    for (std::uint32_t head = 0; head < problem.num_heads; ++head) {
      const Position at{token, head, static_cast<std::uint64_t>(token) * problem.num_heads + head};
      const std::uint64_t lse_index = static_cast<std::uint64_t>(head) * problem.num_tokens + token;
      const Row row = weigh(problem, token, lse_index);
      check_row(problem, at, row, output, check);
      if (output_lse != nullptr) check_lse(at, row.lse, output_lse[lse_index], check);
    }
  }
  return check;
}

}  // namespace jit::inline v1::reference
