#include "kernels/reference/attention_judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "jit/error.hpp"
#include "kernels/reference/attention_row_judge.hpp"
#include "kernels/reference/attention_written.hpp"
#include "kernels/reference/parallel.hpp"
#include "kernels/reference/rounding.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr std::int64_t kRowsOfItem = 64;
// Of fewer, one unlucky draw is no evidence.
constexpr std::uint64_t kFewElements = 1000;
constexpr std::uint64_t kFewSensitive = 200;
constexpr std::uint64_t kFewScales = 200;
constexpr double kGrowth = 1.3;

double share_of(std::uint64_t count, std::uint64_t all) {
  return all == 0 ? 1.0 : static_cast<double>(count) / static_cast<double>(all);
}
double relative(double errors, double squares) {
  return errors == 0.0 ? 0.0 : std::sqrt(errors / squares);
}

void add(AttentionCheck& check, const AttentionCheck& part) {
  check.rows += part.rows;
  check.elements += part.elements;
  check.wrong += part.wrong;
  check.wrong_rows += part.wrong_rows;
  check.wrong_lse += part.wrong_lse;
  check.wrong_scales += part.wrong_scales;
  check.worst_error = std::max(check.worst_error, part.worst_error);
  check.largest_error = std::max(check.largest_error, part.largest_error);
  check.largest_eager_error = std::max(check.largest_eager_error, part.largest_eager_error);
  check.worst_row_rms = std::max(check.worst_row_rms, part.worst_row_rms);
  check.worst_row_relative = std::max(check.worst_row_relative, part.worst_row_relative);
  check.worst_lse_error = std::max(check.worst_lse_error, part.worst_lse_error);
  check.identical += part.identical;
  check.identical_unquantised += part.identical_unquantised;
  check.saturated += part.saturated;
  check.nan_codes += part.nan_codes;
  check.scales += part.scales;
  check.identical_scales += part.identical_scales;
  check.sensitive += part.sensitive;
  check.sensitive_kept += part.sensitive_kept;
  if (check.first_failure.empty()) check.first_failure = part.first_failure;
}

// Rules over all that was compared; the first one that is broken is told.
class Verdict {
 public:
  Verdict(AttentionCheck& check, const AttentionRules& rules) : check_(check), rules_(rules) {}

  void judge_values(double half_unit) {
    at_most("relative rms error", check_.rms, rules_.rms);
    at_most("distance from the direction", check_.cosine, rules_.cosine);
    const double eager = rules_.eager * check_.largest_eager_error + half_unit;
    if (has_eager_) at_most("largest error beside eager code's", check_.largest_error, eager);
  }
  void judge_codes(bool has_unquantised) {
    at_least("share of identical codes", check_.identical, check_.elements, rules_.identical);
    if (has_unquantised) {
      at_least("share of codes identical to the unquantised output's", check_.identical_unquantised,
               check_.elements, rules_.identical_unquantised);
    }
    if (check_.sensitive < kFewSensitive) return;
    at_least("share of codes not rounded through bf16 before", check_.sensitive_kept,
             check_.sensitive, rules_.identical_kept);
  }
  void judge_scales(double rms, bool ue8m0) {
    if (check_.scales < kFewScales) return;
    if (!ue8m0) return at_most("relative rms error of the groups' scales", rms, rules_.rms);
    at_least("share of identical scales", check_.identical_scales, check_.scales, rules_.identical);
  }
  void has_eager() { has_eager_ = true; }

 private:
  void at_most(const char* what, double is, double limit) {
    if (is <= limit) return;
    tell(fmt::format("{} is {:.3g}, at most {:.3g} is right", what, is, limit));
  }
  void at_least(const char* what, std::uint64_t count, std::uint64_t all, double limit) {
    const double chance = 4 * std::sqrt(limit * (1 - limit) / static_cast<double>(all));
    const double is = share_of(count, all);
    if (is >= limit - chance) return;
    tell(fmt::format("{} is {:.4f}, at least {:.4f} is right", what, is, limit - chance));
  }
  void tell(const std::string& what) {
    if (check_.first_failure.empty()) check_.first_failure = what;
  }

  AttentionCheck& check_;
  const AttentionRules& rules_;
  bool has_eager_ = false;
};

void judge_written(const AttentionWritten& written, AttentionCheck& check) {
  check.wrong += written.missing + written.trespasses;
  check.nan_codes = written.nan_codes;
  if (check.first_failure.empty()) check.first_failure = written.first_failure;
}

// What a value may gain by its last rounding; of bf16 eager code rounds as well.
double half_unit_of(DType type, double largest) {
  if (type == DType::kF32) return 0.0;
  return unit_at(format_of(type), largest) / 2;
}

}  // namespace

std::string AttentionCheck::text() const {
  std::string text = fmt::format(
      "{} rows, {} elements, {} wrong, {} wrong rows; error {:.2g} of the bound, rms {:.2g} "
      "(eager {:.2g}), of a row {:.2g}; LSE {:.2g}, {} wrong",
      rows, elements, wrong, wrong_rows, worst_error, rms, eager_rms, worst_row_rms,
      worst_lse_error, wrong_lse);
  if (identical != 0 || nan_codes != 0) {
    text += fmt::format("; identical codes {:.2f} %, sensitive {} of {}, {} saturated, {} NaN",
                        100 * share_of(identical, elements), sensitive_kept, sensitive, saturated,
                        nan_codes);
  }
  if (identical_unquantised != 0) {
    text += fmt::format("; identical to unquantised {:.2f} %",
                        100 * share_of(identical_unquantised, elements));
  }
  if (scales != 0) {
    text += fmt::format("; {} scales, {} wrong, identical {:.2f} %", scales, wrong_scales,
                        100 * share_of(identical_scales, scales));
  }
  return first_failure.empty() ? text : text + "; " + first_failure;
}

AttentionCheck check_attention(const AttentionProblem& problem, const AttentionReference& reference,
                               const AttentionOutput& output,
                               const AttentionCheckOptions& options) {
  if (options.rules.weight_floor != 0.0 && reference.floor.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "judge attention: the reference has no floor of weights; compute it with "
                "AttentionOptions::floor");
  }
  const auto rows = static_cast<std::int64_t>(reference.rows.size());
  const std::int64_t items = (rows + kRowsOfItem - 1) / kRowsOfItem;
  std::vector<AttentionPart> parts(static_cast<std::size_t>(items));
  const bool has_sinks = problem.sinks.data != nullptr;
  const AttentionRowJudge judge(reference, output, options.rules, has_sinks);
  parallel_for(items, options.threads, [&](std::int64_t item, unsigned) {
    const std::int64_t end = std::min(rows, (item + 1) * kRowsOfItem);
    for (std::int64_t row = item * kRowsOfItem; row < end; ++row) {
      judge.judge(static_cast<std::size_t>(row), parts[static_cast<std::size_t>(item)]);
    }
  });

  AttentionCheck check;
  AttentionSums sums;
  for (const AttentionPart& part : parts) {
    add(check, part.check);
    sums.add(part.sums);
  }
  judge_written(check_written(problem, output, options), check);
  check.rms = relative(sums.errors, sums.squares);
  check.eager_rms = relative(sums.eager_errors, sums.squares);
  if (sums.errors != 0.0) check.cosine = sums.errors / (sums.squares + sums.got_squares);
  if (sums.elements < kFewElements || !options.rules.statistics) return check;
  Verdict verdict(check, options.rules);
  if (!reference.eager.empty()) verdict.has_eager();
  if (output.type == DType::kE4M3) {
    verdict.judge_codes(output.unquantised != nullptr);
  } else {
    verdict.judge_values(half_unit_of(output.type, sums.largest));
  }
  const double scale_rms = relative(sums.scale_errors, static_cast<double>(check.scales));
  verdict.judge_scales(scale_rms, output.ue8m0_scales);
  return check;
}

// Of weights, of every part, of all joins but the last, and of the result.
AttentionRules rules_of_joined_parts(std::size_t chunks) noexcept {
  AttentionRules rules;
  const auto joins = static_cast<double>(chunks);
  const double deviations = std::sqrt((joins + 2) / 2);
  rules.weight_error *= joins + 1;
  rules.rms *= deviations;
  rules.row_rms *= deviations;
  rules.eager *= deviations;
  return rules;
}

AttentionRules rules_of_fp8_weights() noexcept {
  AttentionRules rules;
  rules.weight_error = 0x1p-4;
  rules.weight_floor = 0x1p-18;
  rules.sum_error = 4e-3;
  rules.score_error = 0x1p-12;
  rules.exact_row = false;
  rules.rms = 3.5e-2;
  rules.cosine = 6e-4;
  rules.rms_keys = 32;
  rules.row_rms = rules.row_relative = 8e-2;
  // A step of e4m3 is no longer many times the error of a value.
  rules.identical = 0.55;
  rules.identical_kept = 0.0;
  rules.lse_absolute = 1e-3;
  rules.lse_relative = 1e-6;
  return rules;
}

AttentionRules rules_of_biased_values(std::int64_t accumulation_interval) noexcept {
  AttentionRules rules = rules_of_fp8_weights();
  rules.rms = accumulation_interval > 1 ? 1.2e-2 : 4e-3;
  rules.rms_keys = 1024;
  return rules;
}

std::string check_growth(const AttentionCheck& shorter, const AttentionCheck& longer) {
  if (longer.rms <= kGrowth * shorter.rms) return "";
  return fmt::format("relative rms error is {:.3g} of longer contexts, {:.3g} of shorter ones",
                     longer.rms, shorter.rms);
}

std::uint8_t quantise_to_e4m3(double value, float inverse) noexcept {
  const double scaled = value * static_cast<double>(inverse);
  if (std::isnan(scaled)) return static_cast<std::uint8_t>(largest_code(kE4M3Format));
  return static_cast<std::uint8_t>(encode(kE4M3Format, scaled, Overflow::kSaturate));
}

}  // namespace jit::inline v1::reference
