#include "cubinet/tune/measured_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

#include "cubinet/text.hpp"
#include "cubinet/tune/tuning_words.hpp"

namespace jit::inline v1 {
namespace {

// The geometric mean of a variant's medians; 0 unless it was timed at every size.
double score_of(const TuningEvidence& evidence, const TuningVariant& variant) {
  const bool timed = !evidence.sizes.empty() && variant.times.size() == evidence.sizes.size();
  if (variant.verdict != TuningVerdict::kMeasured || !timed) return 0;
  double sum = 0;
  for (const TuningTime& time : variant.times) {
    if (time.median_us <= 0) return 0;
    sum += std::log(time.median_us);
  }
  return std::exp(sum / static_cast<double>(variant.times.size()));
}

double untuned_score(const TuningEvidence& evidence) {
  if (evidence.untuned >= evidence.variants.size()) return 0;
  return score_of(evidence, evidence.variants[evidence.untuned]);
}

// The fastest first; then the others, as near as they came to being timed.
std::vector<std::size_t> sequence_of(const TuningEvidence& evidence) {
  const auto rank = [&](std::size_t i) {
    const TuningVariant& variant = evidence.variants[i];
    const double score = score_of(evidence, variant);
    return std::tuple(i != evidence.winner, score == 0, score, variant.verdict, i);
  };
  std::vector<std::size_t> sequence(evidence.variants.size());
  for (std::size_t i = 0; i < sequence.size(); ++i) sequence[i] = i;
  std::sort(sequence.begin(), sequence.end(),
            [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  return sequence;
}

std::string time_text(const TuningVariant& variant, std::size_t size) {
  if (size >= variant.times.size()) return "-";
  const TuningTime& time = variant.times[size];
  if (time.median_us <= 0) return "-";
  const double spread =
      std::max(time.high_us - time.median_us, time.median_us - time.low_us) / time.median_us;
  return fmt::format("{:.2f} ±{:.1f}%", time.median_us, spread * 100);
}

std::string against_text(double score, double untuned) {
  if (score <= 0 || untuned <= 0) return "-";
  return fmt::format("{:+.1f} %", (score / untuned - 1) * 100);
}

std::string note_of(const TuningEvidence& evidence, std::size_t i) {
  const TuningVariant& variant = evidence.variants[i];
  std::string note;
  const auto add = [&](std::string_view text) {
    note += fmt::format("{}{}", note.empty() ? "" : "; ", text);
  };
  if (i == evidence.winner) add("chosen");
  if (i == evidence.untuned) add("untuned choice");
  if (variant.verdict != TuningVerdict::kMeasured) {
    add(variant.reason.empty() ? std::string(name_of(variant.verdict))
                               : fmt::format("{}: {}", name_of(variant.verdict), variant.reason));
  } else if (!variant.reason.empty()) {
    add(variant.reason);
  }
  return note;
}

std::string table_of(const TuningRecord& record) {
  const TuningEvidence& evidence = record.evidence;
  std::vector<TextTable::Column> columns;
  for (const RecordedConstant& constant : evidence.variants.front().set) {
    columns.push_back({constant.name, Align::kRight});
  }
  for (std::size_t size = 0; size < evidence.sizes.size(); ++size) {
    columns.push_back({fmt::format("US ({})", size + 1), Align::kRight});
  }
  columns.push_back({"AGAINST", Align::kRight});
  for (TextTable::Column& column : compiler_columns()) columns.push_back(std::move(column));
  columns.push_back({"NOTE"});
  TextTable table(std::move(columns), 2);
  const double untuned = untuned_score(evidence);
  for (const std::size_t i : sequence_of(evidence)) {
    const TuningVariant& variant = evidence.variants[i];
    std::vector<std::string> cells;
    for (const RecordedConstant& constant : variant.set) cells.push_back(spell_value(constant));
    for (std::size_t size = 0; size < evidence.sizes.size(); ++size) {
      cells.push_back(time_text(variant, size));
    }
    cells.push_back(against_text(score_of(evidence, variant), untuned));
    for (std::string& cell : compiler_cells(variant)) cells.push_back(std::move(cell));
    cells.push_back(note_of(evidence, i));
    table.add(std::move(cells));
  }
  return table.text();
}

std::string sizes_line(const TuningEvidence& evidence) {
  std::string text;
  for (std::size_t i = 0; i < evidence.sizes.size(); ++i) {
    text += fmt::format("{}({}) {}", i == 0 ? "" : "  ", i + 1, spell(evidence.sizes[i]));
  }
  return text.empty() ? "" : fmt::format("  sizes: {}\n", text);
}

std::string gain_text(const TuningRecord& record) {
  const TuningEvidence& evidence = record.evidence;
  if (evidence.winner == evidence.untuned) return "the untuned choice, which nothing beats";
  const double untuned = untuned_score(evidence);
  const double best = evidence.winner < evidence.variants.size()
                          ? score_of(evidence, evidence.variants[evidence.winner])
                          : 0;
  if (untuned <= 0 || best <= 0) return "the fastest; the untuned choice was not timed";
  return fmt::format("{:.1f} % less time than the untuned choice", (1 - best / untuned) * 100);
}

std::string summary_of(const TuningRecord& record) {
  const TuningEvidence& evidence = record.evidence;
  if (evidence.variants.empty()) return fmt::format("  chosen: {}\n", spell(record.set));
  std::string text = fmt::format("  chosen: {}: {}; noise {:.2f} %", spell(record.set),
                                 gain_text(record), evidence.noise * 100);
  if (evidence.clock_mhz_high != 0) {
    text += fmt::format("; clock {} to {} MHz", evidence.clock_mhz_low, evidence.clock_mhz_high);
  }
  if (!evidence.throttled.empty()) text += fmt::format(", held down: {}", evidence.throttled);
  text += fmt::format("; {:.1f} s, {:.0f} ms of them on the device", evidence.seconds,
                      evidence.device_ms);
  if (evidence.sweep_ms > 0) text += fmt::format(", where a sweep takes {:.0f}", evidence.sweep_ms);
  if (!evidence.complete) text += "; the budget ran out first: raise --budget";
  return text + "\n";
}

std::string record_text(const TuningRecord& record) {
  const std::string steps = spell(record.buckets);
  std::string text =
      fmt::format("{}, nvrtc {}\n  {}{}{} ({} multiprocessors, {} GiB)\n", subject_of(record),
                  record.toolchain, steps, steps.empty() ? "" : " on ", record.device.name,
                  record.device.multiprocessors, record.device.memory_gib);
  if (!record.evidence.variants.empty()) text += sizes_line(record.evidence) + table_of(record);
  return text + summary_of(record);
}

}  // namespace

std::string measured_text(std::span<const TuningRecord> records) {
  std::string text;
  for (const TuningRecord& record : records) {
    text += fmt::format("{}{}", text.empty() ? "" : "\n", record_text(record));
  }
  return text;
}

}  // namespace jit::inline v1
