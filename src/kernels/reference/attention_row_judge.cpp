#include "kernels/reference/attention_row_judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/reference/merge_attn_states.hpp"
#include "kernels/reference/rounding.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kLargestCode = 448.0;
// What scores, exponentials and sums in fp32 add, in units of sum p|v|: scores of 100 are off by
// 2^-17 of a unit each time that they are rounded.
constexpr double kFp32Error = 0x1p-14;
// How surely a right row is not called wrong: so many standard deviations and codes. Where one
// rounded weight outweighs all others, its error is that of the whole row.
constexpr double kDeviations = 5.0;
constexpr double kSpareCodes = 8.0;

std::uint8_t code_at(const void* data, std::uint64_t index) {
  return static_cast<const std::uint8_t*>(data)[index];
}

// As quantise_to_e4m3, as a value.
double quantised(double scaled) {
  return std::isnan(scaled) ? kLargestCode : round_to(kE4M3Format, scaled, Overflow::kSaturate);
}

double rounded(DType type, double value) {
  if (type == DType::kF32) return static_cast<double>(static_cast<float>(value));
  return round_to(format_of(type), value);
}

double unit_of(DType type, double value) {
  constexpr FloatFormat kF32Format{8, 23, 127, true};
  return unit_at(type == DType::kF32 ? kF32Format : format_of(type), value);
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

}  // namespace

void AttentionSums::add(const AttentionSums& other) {
  errors += other.errors;
  eager_errors += other.eager_errors;
  squares += other.squares;
  got_squares += other.got_squares;
  elements += other.elements;
  scale_errors += other.scale_errors;
  largest = std::max(largest, other.largest);
}

struct AttentionRowJudge::Row {
  std::size_t index = 0;  // of the reference
  AttentionRow at;
  std::int64_t offset = 0;  // of the output
  double spread = 0.0;
  std::int64_t seen = 0;
  bool exact = false;  // nothing is rounded but the result
  bool counts = true;  // in what is said of all rows
  AttentionSums sums{};
  double wrong_errors = 0.0;  // squared, of elements that are wrong, and their squares
  double wrong_squares = 0.0;
  double expected_changes = 0.0;  // of codes
  std::uint64_t changes = 0;

  // `what` is made for the first failure alone.
  template <class What>
  void note(AttentionPart& part, std::uint64_t& count, const What& what) const {
    ++count;
    if (!part.check.first_failure.empty()) return;
    part.check.first_failure = fmt::format("token {}, head {}: {}", at.token, at.head, what());
  }
};

// One element: what it should be, how far weights of few bits may bring it off, and what it is.
struct AttentionRowJudge::Element {
  std::size_t i = 0;
  double value = 0.0;
  double error = 0.0;
  double got = 0.0;  // e4m3: the code's value
};

AttentionRowJudge::Row AttentionRowJudge::row_at(std::size_t row) const {
  Row made;
  made.index = row;
  made.at = reference_.rows[row];
  made.offset = made.at.token * output_.token_stride + made.at.head * output_.head_stride;
  made.spread = reference_.spread[row];
  made.seen = reference_.seen[row];
  made.exact = made.seen == 0 || (made.seen == 1 && rules_.exact_row);
  made.counts = made.seen >= rules_.rms_keys;
  return made;
}

// The one weight of a row of one key is 1, without a sink beside it.
double AttentionRowJudge::error_of(const Row& row, std::size_t index) const {
  if (row.exact) return 0.0;
  if (row.seen == 1 && !has_sinks_) return kFp32Error * reference_.magnitude[index];
  // A weight changes by its own score's error and, with all others, by that of the sum.
  const double scores = 2 * rules_.score_error * reference_.score_size[row.index];
  const double sums = std::max({kFp32Error, rules_.sum_error, scores});
  const double error = (rules_.weight_error + sums) * reference_.magnitude[index];
  if (rules_.weight_floor == 0.0) return error;
  return error + rules_.weight_floor * reference_.floor[index];
}

AttentionRowJudge::Element AttentionRowJudge::element_at(const Row& row, std::size_t i) const {
  const std::size_t index = row.index * static_cast<std::size_t>(reference_.head_dim_v) + i;
  Element element;
  element.i = i;
  element.value = reference_.output[index];
  element.error = error_of(row, index);
  const auto at = static_cast<std::uint64_t>(row.offset) + i;
  element.got = output_.type == DType::kE4M3 ? value_of(kE4M3Format, code_at(output_.output, at))
                                             : load_element(output_.type, output_.output, at);
  return element;
}

void AttentionRowJudge::judge(std::size_t index, AttentionPart& part) const {
  Row row = row_at(index);
  ++part.check.rows;
  const bool is_read = rules_.empty_row || reference_.lse[index] != -kInfinity;
  if (!is_read) return judge_lse(row, part);
  if (output_.type == DType::kE4M3) {
    judge_codes(row, part);
  } else {
    judge_values(row, part);
  }
  judge_lse(row, part);
  if (!row.counts) return;
  row.sums.elements = static_cast<std::uint64_t>(reference_.head_dim_v);
  row.sums.errors += row.wrong_errors;
  row.sums.squares += row.wrong_squares;
  part.sums.add(row.sums);
}

// ---- bf16, f16, f32 ----

void AttentionRowJudge::judge_value(Row& row, std::size_t i, AttentionPart& part) const {
  const Element element = element_at(row, i);
  ++part.check.elements;
  const double expected = rounded(output_.type, element.value);
  if (row.exact || !std::isfinite(expected)) {
    if (same(element.got, expected)) return;
    return row.note(part, part.check.wrong, [&] {
      return fmt::format("element {} is {}, expected {}", i, element.got, expected);
    });
  }
  const double error = std::fabs(element.got - element.value);
  const double bound =
      element.error + unit_of(output_.type, std::fabs(element.value) + element.error) / 2;
  if (!(error <= bound)) {
    if (std::isfinite(error)) row.wrong_errors += error * error;
    row.wrong_squares += element.value * element.value;
    return row.note(part, part.check.wrong, [&] {
      return fmt::format("element {} is {}, expected {} +- {:.3g}", i, element.got, element.value,
                         bound);
    });
  }
  part.check.worst_error = std::max(part.check.worst_error, error / bound);
  part.check.largest_error = std::max(part.check.largest_error, error);
  row.sums.errors += error * error;
  row.sums.squares += element.value * element.value;
  row.sums.got_squares += element.got * element.got;
  row.sums.largest = std::max(row.sums.largest, std::fabs(element.value));
  if (reference_.eager.empty()) return;
  const std::size_t at = row.index * static_cast<std::size_t>(reference_.head_dim_v) + i;
  const double eager = std::fabs(reference_.eager[at] - element.value);
  part.check.largest_eager_error = std::max(part.check.largest_eager_error, eager);
  row.sums.eager_errors += eager * eager;
}

void AttentionRowJudge::judge_values(Row& row, AttentionPart& part) const {
  const auto elements = static_cast<std::size_t>(reference_.head_dim_v);
  for (std::size_t i = 0; i < elements; ++i) judge_value(row, i, part);
  if (row.sums.errors == 0.0 || !rules_.statistics) return;
  const double squares = row.sums.squares + static_cast<double>(elements) * row.spread * row.spread;
  const double rms = std::sqrt(row.sums.errors / squares);
  const double relative = row.counts ? std::sqrt(row.sums.errors / row.sums.squares) : 0.0;
  part.check.worst_row_rms = std::max(part.check.worst_row_rms, rms);
  part.check.worst_row_relative = std::max(part.check.worst_row_relative, relative);
  if (rms <= rules_.row_rms && relative <= rules_.row_relative) return;
  row.note(part, part.check.wrong_rows, [&] {
    if (rms <= rules_.row_rms) {
      return fmt::format("the row is off by {:.3g} of itself, at most {:.3g} is right", relative,
                         rules_.row_relative);
    }
    return fmt::format("the row is off by {:.3g}, at most {:.3g} is right", rms, rules_.row_rms);
  });
}

// ---- e4m3 ----

// Returns: the scale that was written.
float AttentionRowJudge::judge_scale(const Row& row, std::size_t begin, AttentionPart& part) const {
  const auto size = static_cast<std::size_t>(output_.group_size);
  const auto groups = static_cast<std::size_t>(reference_.head_dim_v) / size;
  double absmax = 0.0;
  double lowest = 0.0;
  double highest = 0.0;
  bool has_largest = false;
  for (std::size_t i = begin; i < begin + size; ++i) {
    const Element element = element_at(row, i);
    has_largest |= std::fabs(element.got) == kLargestCode;
    if (std::isnan(element.value)) continue;
    const double magnitude = std::fabs(element.value);
    const double error = std::isinf(magnitude) ? 0.0 : element.error;
    absmax = std::max(absmax, magnitude);
    lowest = std::max(lowest, magnitude - error);
    highest = std::max(highest, magnitude + error);
  }
  const std::int64_t group =
      row.at.head * static_cast<std::int64_t>(groups) + static_cast<std::int64_t>(begin / size);
  const float got = output_.group_scales[row.at.token * output_.scale_token_stride +
                                         group * output_.scale_group_stride];
  const float expected = scale_of_group(absmax, output_.ue8m0_scales);
  ++part.check.scales;
  if (got == expected) ++part.check.identical_scales;
  const float low = scale_of_group(lowest, output_.ue8m0_scales);
  const float high = scale_of_group(highest, output_.ue8m0_scales);
  int exponent = 0;
  const bool allowed = !output_.ue8m0_scales || std::frexp(got, &exponent) == 0.5F;
  if (!(allowed && low <= got && got <= high)) {
    row.note(part, part.check.wrong_scales, [&] {
      return fmt::format("the scale of elements {} to {} is {}, expected {} to {}", begin,
                         begin + size - 1, got, low, high);
    });
    return got;
  }
  const double error = static_cast<double>(got) / static_cast<double>(expected) - 1.0;
  part.sums.scale_errors += error * error;
  if (!output_.ue8m0_scales && lowest >= 1e-9 && !has_largest) {
    row.note(part, part.check.wrong,
             [&] { return fmt::format("no element of the group from {} is +-448", begin); });
  }
  return got;
}

// The codes that the same value rounded to bf16 first has: what the kernel wrote as bf16, and what
// the reference would be.
void AttentionRowJudge::judge_unquantised(const Row& row, const Element& element, float inverse,
                                          AttentionPart& part) const {
  const auto factor = static_cast<double>(inverse);
  const double exact = quantised(element.value * factor);
  const auto before = static_cast<float>(round_to(kBF16Format, element.value));
  const double twice = quantised(static_cast<double>(before * inverse));
  const bool near = std::fabs(element.value) >= row.spread;
  if (near && exact != twice && std::fabs(element.got) != kLargestCode && !row.exact) {
    ++part.check.sensitive;
    if (element.got == exact) ++part.check.sensitive_kept;
  }
  if (output_.unquantised == nullptr) return;
  const auto at = static_cast<std::uint64_t>(row.offset) + element.i;
  const auto unquantised = static_cast<float>(load_element(DType::kBF16, output_.unquantised, at));
  const double expected = quantised(static_cast<double>(unquantised * inverse));
  if (element.got == expected) {
    ++part.check.identical_unquantised;
    return;
  }
  const double larger = std::max(std::fabs(element.got), std::fabs(expected));
  const double bound = unit_at(kE4M3Format, larger) + element.error * factor;
  if (std::fabs(element.got - expected) <= bound) return;
  row.note(part, part.check.wrong, [&] {
    return fmt::format("element {} is the code of {}, that of the unquantised {} is the code of {}",
                       element.i, element.got, unquantised, expected);
  });
}

void AttentionRowJudge::judge_code(Row& row, std::size_t i, float inverse,
                                   AttentionPart& part) const {
  const Element element = element_at(row, i);
  const auto factor = static_cast<double>(inverse);
  double scaled = element.value * factor;
  // The one value that a kernel has exactly is multiplied in fp32.
  if (row.exact) scaled = static_cast<double>(static_cast<float>(element.value) * inverse);
  const double expected = quantised(scaled);
  ++part.check.elements;
  if (std::fabs(element.got) == kLargestCode) ++part.check.saturated;
  if (element.got == expected) ++part.check.identical;
  double low = expected;
  double high = expected;
  if (!row.exact && std::isfinite(element.value) && !std::isnan(inverse)) {
    low = quantised((element.value - element.error) * factor);
    high = quantised((element.value + element.error) * factor);
  }
  if (!(low <= element.got && element.got <= high)) {
    return row.note(part, part.check.wrong, [&] {
      return fmt::format("element {} is the code of {}, expected that of {}, or of {} to {}", i,
                         element.got, expected, low, high);
    });
  }
  judge_unquantised(row, element, inverse, part);
  if (row.exact || !std::isfinite(scaled) || std::fabs(scaled) >= kLargestCode) return;
  if (std::fabs(element.got) == kLargestCode) return;
  const double unit = unit_at(kE4M3Format, std::fabs(scaled) + element.error * factor);
  const double error = std::fabs(element.got - scaled);
  part.check.worst_error =
      std::max(part.check.worst_error, error / (unit / 2 + element.error * factor));
  part.check.largest_error = std::max(part.check.largest_error, error / factor);
  row.sums.errors += error * error / (factor * factor);
  row.sums.squares += element.value * element.value;
  const double deviation = rules_.row_rms / 2 * std::hypot(element.value, row.spread) * factor;
  row.expected_changes += std::min(1.0, 0.8 * deviation / unit_at(kE4M3Format, scaled));
  if (element.got != expected) ++row.changes;
}

void AttentionRowJudge::judge_codes(Row& row, AttentionPart& part) const {
  const auto elements = static_cast<std::size_t>(reference_.head_dim_v);
  float inverse = 1.0F / output_.scale;
  for (std::size_t i = 0; i < elements; ++i) {
    const bool begins =
        output_.group_size != 0 && i % static_cast<std::size_t>(output_.group_size) == 0;
    if (begins) inverse = 1.0F / judge_scale(row, i, part);
    judge_code(row, i, inverse, part);
  }
  if (!rules_.statistics) return;
  const double limit =
      row.expected_changes + kDeviations * std::sqrt(row.expected_changes) + kSpareCodes;
  if (static_cast<double>(row.changes) <= limit) return;
  row.note(part, part.check.wrong_rows, [&] {
    return fmt::format("{} codes of the row are others, at most {:.0f} are right", row.changes,
                       limit);
  });
}

// ---- LSE ----

void AttentionRowJudge::judge_lse(const Row& row, AttentionPart& part) const {
  if (output_.lse == nullptr) return;
  const double expected = reference_.lse[row.index];
  const auto got =
      static_cast<double>(output_.lse[row.at.head * output_.lse_head_stride + row.at.token]);
  if (same(got, expected)) return;
  const double error = std::fabs(got - expected);
  // Errors of scores meet in the sum, weighted.
  const double scores =
      std::max(rules_.score_error * reference_.concentration[row.index], rules_.score_bias) *
      reference_.score_size[row.index];
  const double bound =
      std::max(rules_.lse_absolute, scores) + rules_.lse_relative * std::fabs(expected);
  if (std::isfinite(expected) && error <= bound) {
    part.check.worst_lse_error = std::max(part.check.worst_lse_error, error);
    return;
  }
  row.note(part, part.check.wrong_lse,
           [&] { return fmt::format("the LSE is {}, expected {}", got, expected); });
}

}  // namespace jit::inline v1::reference
