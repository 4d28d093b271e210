#include <fmt/format.h>

#include <cmath>
#include <type_traits>

#include "cubinet/text.hpp"
#include "cubinet/tuning/tuning_listing.hpp"

namespace jit::inline v1 {
namespace {

std::string text_of(const RecordedConstant& constant) {
  const auto value = [](const auto& one) -> std::string {
    using T = std::decay_t<decltype(one)>;
    if constexpr (std::is_same_v<T, bool>) return one ? "true" : "false";
    else if constexpr (std::is_same_v<T, std::string>) return one;
    else return std::to_string(one);
  };
  return constant.name + "=" + std::visit(value, constant.value);
}

std::string text_of(const std::vector<RecordedConstant>& constants, std::string_view between) {
  std::string text;
  for (const RecordedConstant& constant : constants) {
    if (!text.empty()) text += between;
    text += text_of(constant);
  }
  return text;
}

// What was tuned: "tiny[SIZE=8] phase=decode".
std::string thing_text(const TuningRecord& record) {
  std::string text = fmt::format("{}[{}]", record.name, text_of(record.shape, ","));
  for (const RecordedBucket& bucket : record.buckets) {
    text += fmt::format(" {}={}", bucket.name, bucket.step);
  }
  return text;
}

// How many times as fast as the untuned choice, over all sizes alike; empty if that is not known.
std::string speedup_text(const TuningEvidence& evidence) {
  if (evidence.variants.empty() || evidence.untuned == TuningEvidence::npos) return {};
  const std::vector<TuningTime>& best = evidence.variants[evidence.winner].times;
  const std::vector<TuningTime>& untuned = evidence.variants[evidence.untuned].times;
  if (best.empty() || best.size() != untuned.size()) return {};
  double logs = 0;
  for (std::size_t i = 0; i < best.size(); ++i) {
    if (best[i].median_us <= 0 || untuned[i].median_us <= 0) return {};
    logs += std::log(untuned[i].median_us / best[i].median_us);
  }
  return fmt::format("{:.2f} x", std::exp(logs / static_cast<double>(best.size())));
}

// The line within its source.
std::string line_text(const std::string& place) { return place.substr(place.rfind(':') + 1); }

// Of a template the file, too: it has several.
std::string place_text(const ListedSource& source, const std::string& place) {
  return source.kind == "template" ? place : line_text(place);
}

std::string records_text(const ListedSource& source) {
  if (source.records.empty()) return {};
  TextTable table({{source.kind == "template" ? "PLACE" : "LINE"},
                   {"DEVICE"},
                   {"ARCH"},
                   {"NVRTC"},
                   {"CHOICE"},
                   {"SPEEDUP", Align::kRight},
                   {"FOR"}},
                  2);
  for (const ListedRecord& listed : source.records) {
    const TuningRecord& record = listed.record;
    table.add({place_text(source, listed.place), record.device.name, record.arch, record.toolchain,
               text_of(record.set, " "), speedup_text(record.evidence), thing_text(record)});
  }
  return table.text();
}

std::string skipped_text(const ListedSource& source) {
  if (source.skipped.empty()) return {};
  TextTable table({{"SKIPPED"}, {"WHY"}, {}}, 2);
  for (const SkippedRecord& skipped : source.skipped) {
    table.add(
        {place_text(source, skipped.place), std::string(name_of(skipped.issue)), skipped.reason});
  }
  return table.text();
}

Json record_json(const ListedRecord& listed) {
  Json json = Json::object({{"place", listed.place}});
  const std::string speedup = speedup_text(listed.record.evidence);
  json.set("speedup", speedup.empty() ? Json() : Json(std::stod(speedup)));
  json.set("record", Json::parse(listed.record.text()));
  return json;
}

Json skipped_json(const SkippedRecord& skipped) {
  return Json::object({{"place", skipped.place},
                       {"template", skipped.name.empty() ? Json() : Json(skipped.name)},
                       {"issue", name_of(skipped.issue)},
                       {"reason", skipped.reason}});
}

}  // namespace

Json source_json(const ListedSource& source) {
  return Json::object({{"kind", source.kind},
                       {"place", source.place},
                       {"problem", source.problem.empty() ? Json() : Json(source.problem)},
                       {"records", Json::array_of(source.records, record_json)},
                       {"skipped", Json::array_of(source.skipped, skipped_json)}});
}

std::string source_text(const ListedSource& source) {
  std::string head =
      fmt::format("{} {}: {} records", source.kind, source.place, source.records.size());
  if (!source.skipped.empty()) head += fmt::format(", {} skipped", source.skipped.size());
  if (!source.problem.empty()) head += "; " + source.problem;
  return head + "\n" + records_text(source) + skipped_text(source);
}

}  // namespace jit::inline v1
