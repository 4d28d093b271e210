#include "kernels/reference/merge_attn_states.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
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
  double distance = 0.0;  // of the two LSEs
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
  Row row{Source::kMerge, prefix_share / sum, suffix_share / sum, largest + std::log(sum),
          std::fabs(prefix - suffix)};
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
  std::uint64_t index = 0;  // in both inputs
  double prefix = 0.0;
  double suffix = 0.0;
  double merged = 0.0;
  double error = 0.0;  // how far fp32 may be from `merged`
};

// Units of 2^-24: the larger weight is off by up to 9 of them (exponential 4, sum 1, reciprocal 2),
// the smaller by up to 12, and by 4 per unit of the exponent, which is rounded before it is raised;
// products and sum add 2.
double fp32_error(const Row& row, const Element& element) {
  const double prefix = std::fabs(element.prefix * row.prefix_weight);
  const double suffix = std::fabs(element.suffix * row.suffix_weight);
  const double smaller = row.prefix_weight < row.suffix_weight ? prefix : suffix;
  const double largest = std::max(std::fabs(element.prefix), std::fabs(element.suffix));
  return 0x1p-24 * (14.0 * (prefix + suffix) + 4.0 * row.distance * smaller) +
         kSmallestWeight * largest;
}

Element merge_element(const MergeProblem& problem, const Row& row, std::uint64_t index) {
  Element element;
  element.index = index;
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
      element.error = fp32_error(row, element);
      break;
  }
  return element;
}

std::uint32_t quantise(double scaled) {
  return std::isnan(scaled) ? 0x7EU : encode(kE4M3Format, scaled, Overflow::kSaturate);
}

// Where `code` lies among the values of e4m3 between those of `low` and `high`.
bool is_between(double low, double high, std::uint8_t code) {
  const double value = decode(kE4M3Format, code);
  return decode(kE4M3Format, quantise(low)) <= value &&
         value <= decode(kE4M3Format, quantise(high));
}

// +1 for the same bits, 0 within the tolerance, -1 wrong.
int judge_fp8(const Row& row, const Element& element, float scale, std::uint8_t code) {
  if ((code & 0x7FU) == 0x7FU) return -1;
  const double merged = element.merged;
  const float inverse = 1.0F / scale;
  const bool exact = row.source != Source::kMerge || std::isnan(merged) || !std::isnormal(inverse);
  double scaled = merged / static_cast<double>(scale);
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

// The same where a group's own scale may be so small that the error of fp32 is many codes.
int judge_in_group(const Row& row, const Element& element, float scale, std::uint8_t code) {
  const int verdict = judge_fp8(row, element, scale, code);
  if (verdict >= 0 || row.source != Source::kMerge || !std::isfinite(element.merged)) {
    return verdict;
  }
  const auto divisor = static_cast<double>(scale);
  return is_between((element.merged - element.error) / divisor,
                    (element.merged + element.error) / divisor, code)
             ? 0
             : -1;
}

int judge_same_type(const MergeProblem& problem, const Row& row, const Element& element,
                    const void* output, std::uint64_t output_index) {
  const DType type = problem.input_type;
  const std::size_t bytes = bytes_of(type);
  const double got = load_element(type, output, output_index);
  if (row.source == Source::kPrefix || row.source == Source::kSuffix) {
    const void* from =
        row.source == Source::kPrefix ? problem.prefix_output : problem.suffix_output;
    const bool same =
        std::memcmp(static_cast<const char*>(from) + element.index * bytes,
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
  Row weights;
  std::vector<Element> elements{};
};

void note(MergeCheck& check, const Position& at, const std::string& what) {
  if (!check.first_failure.empty()) return;
  check.first_failure =
      "token " + std::to_string(at.token) + ", head " + std::to_string(at.head) + ": " + what;
}

// What is judged.
struct Result {
  const void* output = nullptr;
  const float* lse = nullptr;
  const float* group_scales = nullptr;
};

// One group of a row and the largest magnitudes that its values may have in fp32.
struct Group {
  std::uint32_t begin = 0;  // element of the row
  std::uint32_t end = 0;
  double absmax = 0.0;
  double lowest = 0.0;
  double highest = 0.0;
};

void check_scale(const MergeProblem& problem, const Position& at, const Group& group, float got,
                 MergeCheck& check) {
  ++check.scales;
  if (got == scale_of_group(group.absmax, problem.ue8m0_scales)) ++check.identical_scales;
  const float low = scale_of_group(group.lowest, problem.ue8m0_scales);
  const float high = scale_of_group(group.highest, problem.ue8m0_scales);
  if (low <= got && got <= high) return;
  ++check.wrong_scales;
  char text[160];
  std::snprintf(text, sizeof(text), "the scale of elements %u to %u is %.9g, expected %.9g to %.9g",
                group.begin, group.end - 1, static_cast<double>(got), static_cast<double>(low),
                static_cast<double>(high));
  note(check, at, text);
}

float check_group(const MergeProblem& problem, const Position& at, std::uint32_t begin,
                  const Result& result, MergeCheck& check) {
  Group group{begin, begin + problem.group_size};
  bool has_largest = false;
  const auto* const codes = static_cast<const std::uint8_t*>(result.output);
  for (std::uint32_t i = group.begin; i < group.end; ++i) {
    const Element& element = at.elements[i];
    if (std::isnan(element.merged)) continue;
    const double magnitude = std::fabs(element.merged);
    const double error = std::isinf(magnitude) ? 0.0 : element.error;
    group.absmax = std::max(group.absmax, magnitude);
    group.lowest = std::max(group.lowest, magnitude - error);
    group.highest = std::max(group.highest, magnitude + error);
    has_largest |= (codes[at.row * problem.output_head_stride + i] & 0x7FU) == 0x7EU;
  }
  const std::uint64_t index =
      at.head * (problem.head_size / problem.group_size) + begin / problem.group_size;
  const float scale =
      result
          .group_scales[at.token * problem.scale_token_stride + index * problem.scale_group_stride];
  check_scale(problem, at, group, scale, check);
  if (!problem.ue8m0_scales && group.lowest >= 1e-9 && !has_largest) {
    ++check.wrong;
    note(check, at, "no element of the group from " + std::to_string(begin) + " is +-448");
  }
  return scale;
}

void check_row(const MergeProblem& problem, const Position& at, const Result& result,
               MergeCheck& check) {
  const Row& row = at.weights;
  float scale = problem.output_scale;
  for (std::uint32_t i = 0; i < problem.head_size; ++i) {
    const bool grouped = problem.group_size != 0;
    if (grouped && i % problem.group_size == 0) {
      scale = check_group(problem, at, i, result, check);
    }
    const std::uint64_t output_index = at.row * problem.output_head_stride + i;
    const Element& element = at.elements[i];
    int verdict = 0;
    if (problem.fp8_output) {
      const std::uint8_t code = static_cast<const std::uint8_t*>(result.output)[output_index];
      verdict = grouped ? judge_in_group(row, element, scale, code)
                        : judge_fp8(row, element, scale, code);
    } else {
      verdict = judge_same_type(problem, row, element, result.output, output_index);
    }
    ++check.elements;
    if (verdict > 0) ++check.identical;
    if (verdict >= 0) continue;
    ++check.wrong;
    const DType type = problem.fp8_output ? DType::kE4M3 : problem.input_type;
    note(check, at,
         "element " + std::to_string(i) + " is " +
             std::to_string(load_element(type, result.output, output_index)) +
             ", the merged value is " + std::to_string(element.merged));
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
  if (wrong != 0 || wrong_lse != 0 || wrong_scales != 0) return false;
  double share = 0.0;
  if (problem.fp8_output) {
    share = 0.995;
  } else if (problem.input_type != DType::kF32) {
    share = 0.99;
  }
  // On a handful of elements one unlucky tie is no evidence.
  return elements < 1000 || static_cast<double>(identical) >= share * static_cast<double>(elements);
}

float scale_of_group(double absmax, bool ue8m0) noexcept {
  const double limited = std::clamp(absmax, static_cast<double>(1e-10F),
                                    static_cast<double>(std::numeric_limits<float>::max()));
  const double quotient = limited / 448.0;
  if (!ue8m0) return static_cast<float>(quotient);
  int exponent = 0;
  const double fraction = std::frexp(quotient, &exponent);
  return static_cast<float>(std::ldexp(1.0, fraction == 0.5 ? exponent - 1 : exponent));
}

MergeCheck check_merge(const MergeProblem& problem, const void* output, const float* output_lse,
                       const float* output_group_scales) {
  MergeCheck check;
  const Result result{output, output_lse, output_group_scales};
  for (std::uint32_t token = 0; token < problem.num_tokens; ++token) {
    for (std::uint32_t head = 0; head < problem.num_heads; ++head) {
      const std::uint64_t lse_index = static_cast<std::uint64_t>(head) * problem.num_tokens + token;
      Position at{token, head, static_cast<std::uint64_t>(token) * problem.num_heads + head,
                  weigh(problem, token, lse_index)};
      for (std::uint32_t i = 0; i < problem.head_size; ++i) {
        const std::uint64_t index = at.row * problem.input_head_stride + i;
        at.elements.push_back(merge_element(problem, at.weights, index));
      }
      check_row(problem, at, result, check);
      if (output_lse != nullptr) check_lse(at, at.weights.lse, output_lse[lse_index], check);
    }
  }
  return check;
}

}  // namespace jit::inline v1::reference
