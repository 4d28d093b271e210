#include "bench/tuning_quality.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "runtime/runtime_impl.hpp"
#include "signature/manifest.hpp"
#include "signature/recorded_request.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

constexpr const char* kTemplate = "merge_attn_states";
constexpr double kEqual = 0.005;  // what the tuner calls equal where the noise is less
using Records = std::vector<TuningRecord>;
using Set = std::vector<RecordedConstant>;

Records tune(Runtime& runtime, const std::string& preset, bool exhaustive) {
  const table::Template& tmpl = runtime.impl().templates().find(kTemplate);
  const table::Preset* found = find_preset(tmpl, preset);
  if (found == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("measure tuning: {} has no preset {}", kTemplate, preset));
  }
  TuneOptions options;
  options.keep = false;
  options.exhaustive = exhaustive;
  if (exhaustive) options.budget = std::chrono::minutes(10);
  return runtime.tune(kTemplate, found->constants, options);
}

// As the tuner scores: the geometric mean over the sizes of the medians.
std::optional<double> score(const TuningVariant& variant) {
  if (variant.verdict != TuningVerdict::kMeasured || variant.times.empty()) return std::nullopt;
  double logs = 0;
  for (const TuningTime& time : variant.times) logs += std::log(time.median_us);
  return std::exp(logs / static_cast<double>(variant.times.size()));
}

std::optional<double> score(const TuningRecord& sweep, const Set& set) {
  for (const TuningVariant& variant : sweep.evidence.variants) {
    if (variant.set == set) return score(variant);
  }
  return std::nullopt;
}

double best_score(const TuningRecord& sweep) {
  double best = std::numeric_limits<double>::infinity();
  for (const TuningVariant& variant : sweep.evidence.variants) {
    best = std::min(best, score(variant).value_or(best));
  }
  return best;
}

// How much slower than the best of the sweep, in percent. A choice that the sweep could not measure
// is no choice: it counts as infinitely slow.
double percent_slower(const TuningRecord& sweep, const Set& set) {
  const auto own = score(sweep, set);
  return own ? (*own / best_score(sweep) - 1) * 100 : std::numeric_limits<double>::infinity();
}

std::string text_of(const Set& set) {
  std::string text;
  for (const RecordedConstant& constant : set) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", constant.name,
                        format_value(value_of(constant)));
  }
  return text;
}

std::string step_of(const TuningRecord& record) {
  std::string text;
  for (const RecordedBucket& bucket : record.buckets) {
    text += (text.empty() ? "" : " ") + bucket.step;
  }
  return text;
}

const TuningRecord& same_step(const Records& records, const TuningRecord& wanted) {
  for (const TuningRecord& record : records) {
    if (record.buckets == wanted.buckets) return record;
  }
  throw Error(ErrorCode::kInternal, "measure tuning: one of two runs has no record of a step");
}

double ratio(double a, double b) { return b > 0 ? a / b : 0; }

BenchRow against_sweep(const std::string& preset, const TuningRecord& tuned,
                       const TuningRecord& sweep) {
  const TuningEvidence& evidence = tuned.evidence;
  const Set untuned =
      evidence.untuned < evidence.variants.size() ? evidence.variants[evidence.untuned].set : Set();
  BenchRow row;
  row.point = {{"what", "choice against a sweep"},
               {"preset", preset},
               {"step", step_of(tuned)},
               {"choice", text_of(tuned.set)}};
  row.counts = {{"variants", evidence.variants.size()}};
  row.figures = {{"slower than best %", percent_slower(sweep, tuned.set)},
                 {"untuned %", percent_slower(sweep, untuned)},
                 {"noise %", 100 * std::max(evidence.noise, sweep.evidence.noise)},
                 {"device ms", evidence.device_ms},
                 {"sweep ms", sweep.evidence.device_ms},
                 {"cost share", ratio(evidence.device_ms, sweep.evidence.device_ms)},
                 {"wall share", ratio(evidence.seconds, sweep.evidence.seconds)},
                 {"best us", best_score(sweep)}};
  return row;
}

// The choices of several runs, by step.
using Choices = std::map<std::string, std::vector<Set>>;

BenchRow repeats(const std::string& preset, const TuningRecord& sweep,
                 const std::vector<Set>& sets) {
  const auto times = [&](const Set& set) { return std::count(sets.begin(), sets.end(), set); };
  const auto most = std::max_element(
      sets.begin(), sets.end(), [&](const Set& a, const Set& b) { return times(a) < times(b); });
  const double equal = std::max(kEqual, sweep.evidence.noise);
  const double usual = score(sweep, *most).value_or(0);
  const auto as_good = std::count_if(sets.begin(), sets.end(), [&](const Set& set) {
    const auto own = score(sweep, set);
    return own && std::abs(*own / usual - 1) <= equal;
  });
  double worst = 0;
  for (const Set& set : sets) worst = std::max(worst, percent_slower(sweep, set));
  BenchRow row;
  row.point = {{"what", "tuned again"},
               {"preset", preset},
               {"step", step_of(sweep)},
               {"choice", text_of(*most)}};
  row.counts = {{"times", sets.size()},
                {"same", static_cast<std::uint64_t>(times(*most))},
                {"same or equal", static_cast<std::uint64_t>(as_good)}};
  row.figures = {{"equal within %", 100 * equal}, {"worst slower than best %", worst}};
  return row;
}

}  // namespace

void bench_choices(Runtime& runtime, const std::string& preset, int times, BenchReport& report) {
  const Records sweeps = tune(runtime, preset, true);
  Choices chosen;
  for (int i = 0; i < times; ++i) {
    for (const TuningRecord& record : tune(runtime, preset, false)) {
      if (i == 0) {
        report.rows.push_back(against_sweep(preset, record, same_step(sweeps, record)));
      }
      chosen[step_of(record)].push_back(record.set);
    }
  }
  if (times < 2) return;
  for (const TuningRecord& sweep : sweeps) {
    const std::vector<Set>& sets = chosen[step_of(sweep)];
    if (!sets.empty()) report.rows.push_back(repeats(preset, sweep, sets));
  }
}

}  // namespace jit::inline v1
