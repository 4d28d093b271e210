#include "cubinet/tune/static_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cubinet/text.hpp"
#include "cubinet/tune/tuning_words.hpp"
#include "tune/static_stage.hpp"

namespace jit::inline v1 {
namespace {

// Records of which only the bucket step, and with it the untuned choice, differs.
struct Group {
  std::vector<const TuningRecord*> records;
  const TuningRecord& first() const { return *records.front(); }
};

bool alike(const TuningVariant& a, const TuningVariant& b) {
  return a.set == b.set && a.verdict == b.verdict && a.reason == b.reason &&
         a.registers == b.registers && a.smem_bytes == b.smem_bytes &&
         a.spill_bytes == b.spill_bytes && a.serialized_wgmma == b.serialized_wgmma &&
         a.occupancy == b.occupancy;
}

bool alike(const TuningRecord& a, const TuningRecord& b) {
  return a.arch == b.arch && a.shape == b.shape &&
         std::equal(a.evidence.variants.begin(), a.evidence.variants.end(),
                    b.evidence.variants.begin(), b.evidence.variants.end(),
                    [](const auto& x, const auto& y) { return alike(x, y); });
}

std::vector<Group> groups_of(std::span<const TuningRecord> records) {
  std::vector<Group> groups;
  for (const TuningRecord& record : records) {
    const auto known = std::find_if(groups.begin(), groups.end(), [&](const Group& group) {
      return alike(group.first(), record);
    });
    if (known != groups.end()) known->records.push_back(&record);
    else groups.push_back({{&record}});
  }
  return groups;
}

// The most promising first, then those that were rejected, then those that were refused.
std::vector<std::size_t> sequence_of(const std::vector<TuningVariant>& variants) {
  std::vector<std::size_t> sequence = ranking(variants);
  for (const TuningVerdict verdict : {TuningVerdict::kRejected, TuningVerdict::kRefused}) {
    for (std::size_t i = 0; i < variants.size(); ++i) {
      if (variants[i].verdict == verdict) sequence.push_back(i);
    }
  }
  return sequence;
}

std::string untuned_note(const Group& group, std::size_t variant) {
  std::string steps;
  std::size_t count = 0;
  for (const TuningRecord* record : group.records) {
    if (record->evidence.untuned != variant) continue;
    ++count;
    const std::string text = spell(record->buckets);
    if (!text.empty()) steps += fmt::format("{}{}", steps.empty() ? "" : ", ", text);
  }
  if (count == 0) return {};
  return count == group.records.size() ? "untuned choice"
                                       : fmt::format("untuned choice of {}", steps);
}

std::string heading_of(const Group& group) {
  const TuningRecord& first = group.first();
  std::string steps;
  for (const TuningRecord* record : group.records) {
    const std::string text = spell(record->buckets);
    if (!text.empty()) steps += fmt::format("{}{}", steps.empty() ? "" : ", ", text);
  }
  const auto& variants = first.evidence.variants;
  const auto count = [&](TuningVerdict verdict) {
    return std::count_if(variants.begin(), variants.end(), [&](const TuningVariant& one) {
      return one.verdict == verdict && !is_unknown(one);
    });
  };
  const auto unknown = std::count_if(variants.begin(), variants.end(), is_unknown);
  const std::string compiler =
      first.toolchain.empty() ? "" : fmt::format(", nvrtc {}", first.toolchain);
  return fmt::format("{}{}\n  {}{}{} variants, {} worth timing, {} rejected, {} refused{}\n",
                     subject_of(first), compiler, steps, steps.empty() ? "" : ": ", variants.size(),
                     count(TuningVerdict::kNotReached), count(TuningVerdict::kRejected),
                     count(TuningVerdict::kRefused),
                     unknown == 0 ? "" : fmt::format(", {} not known", unknown));
}

std::string table_of(const Group& group) {
  const std::vector<TuningVariant>& variants = group.first().evidence.variants;
  std::vector<TextTable::Column> columns{{"RANK", Align::kRight}};
  for (const RecordedConstant& constant : variants.front().set) {
    columns.push_back({constant.name, Align::kRight});
  }
  for (TextTable::Column& column : compiler_columns()) columns.push_back(std::move(column));
  columns.push_back({"VERDICT"});
  TextTable table(std::move(columns), 2);
  std::size_t rank = 0;
  for (const std::size_t i : sequence_of(variants)) {
    const TuningVariant& variant = variants[i];
    const bool worth = variant.verdict == TuningVerdict::kNotReached;
    std::vector<std::string> cells{worth ? std::to_string(++rank) : "-"};
    for (const RecordedConstant& constant : variant.set) cells.push_back(spell_value(constant));
    for (std::string& cell : compiler_cells(variant)) cells.push_back(std::move(cell));
    std::string verdict = worth ? ""
                          : is_unknown(variant)
                              ? variant.reason
                              : fmt::format("{}: {}", name_of(variant.verdict), variant.reason);
    const std::string note = untuned_note(group, i);
    if (!note.empty()) verdict += fmt::format("{}{}", verdict.empty() ? "" : "; ", note);
    cells.push_back(std::move(verdict));
    table.add(std::move(cells));
  }
  return table.text();
}

std::string_view verdict_name(const TuningVariant& variant) {
  if (is_unknown(variant)) return "not_known";
  const bool worth = variant.verdict == TuningVerdict::kNotReached;
  return worth ? "worth_timing" : name_of(variant.verdict);
}

Json variant_json(const TuningVariant& variant, std::size_t rank) {
  const bool worth = variant.verdict == TuningVerdict::kNotReached;
  Json json = Json::object({{"set", json_of(variant.set)}});
  json.set("verdict", verdict_name(variant));
  if (worth) json.set("rank", rank);
  if (!variant.reason.empty()) json.set("reason", variant.reason);
  if (variant.verdict == TuningVerdict::kRefused) return json;
  return json.set("registers", variant.registers)
      .set("shared_bytes", variant.smem_bytes)
      .set("spill_bytes", variant.spill_bytes)
      .set("serialized_wgmma", variant.serialized_wgmma)
      .set("occupancy", variant.occupancy);
}

Json record_json(const TuningRecord& record) {
  const std::vector<TuningVariant>& variants = record.evidence.variants;
  const std::vector<std::size_t> ranked = ranking(variants);
  Json rows = Json::array();
  for (std::size_t i = 0; i < variants.size(); ++i) {
    const auto at = std::find(ranked.begin(), ranked.end(), i);
    rows.add(variant_json(variants[i], static_cast<std::size_t>(at - ranked.begin()) + 1));
  }
  Json json = Json::object({{"template", record.name},
                            {"shape", json_of(record.shape)},
                            {"buckets", json_of(record.buckets)},
                            {"arch", record.arch},
                            {"toolchain", record.toolchain},
                            {"bundle", record.bundle}});
  if (record.evidence.untuned != TuningEvidence::npos) json.set("untuned", record.evidence.untuned);
  return json.set("variants", std::move(rows));
}

}  // namespace

std::string static_text(std::span<const TuningRecord> records) {
  std::string text;
  for (const Group& group : groups_of(records)) {
    text += fmt::format("{}{}{}", text.empty() ? "" : "\n", heading_of(group), table_of(group));
  }
  return text;
}

std::string farm_line(const StaticRun& run) {
  const Totals totals = run.farm.totals();
  std::string text = fmt::format("{} kernels: {} compiled, {} found, {} refused",
                                 run.farm.outcomes.size() + run.known_refused, totals.compiled,
                                 totals.hits, totals.refused + run.known_refused);
  if (run.known_refused != 0) text += fmt::format(" ({} of them before)", run.known_refused);
  if (run.unknown != 0) text += fmt::format(", {} not known", run.unknown);
  return text + fmt::format(" in {:.2f} s\n", run.farm.elapsed_ms / 1000);
}

Json static_json(const StaticRun& run) {
  const Totals totals = run.farm.totals();
  return Json::object({{"compiled", totals.compiled},
                       {"hits", totals.hits},
                       {"refused", totals.refused + run.known_refused},
                       {"refused_before", run.known_refused},
                       {"not_known", run.unknown},
                       {"workers", run.farm.workers},
                       {"elapsed_ms", run.farm.elapsed_ms},
                       {"tasks", Json::array_of(run.records, record_json)}});
}

}  // namespace jit::inline v1
