#include "cubinet/report/record_section.hpp"

#include <fmt/format.h>

#include <cmath>

#include "cubinet/report/figures.hpp"
#include "cubinet/report/heat_map.hpp"
#include "cubinet/report/spread_chart.hpp"
#include "cubinet/report/variant_table.hpp"

namespace jit::inline v1 {
namespace {

// The variants' table needs no click where it is short.
constexpr std::size_t kFewVariants = 12;

Html constants_list(std::span<const RecordedConstant> constants, const std::string& label) {
  Html items;
  for (const RecordedConstant& constant : constants) {
    items += element("li", Html(constant.name) + " " + element("b", text_of(constant)));
  }
  return element("ul", {{"class", "constants"}, {"aria-label", label}}, items);
}

Html fact(const std::string& name, const Html& content, const std::string& note = {}) {
  Html value = element("dd", content);
  if (!note.empty()) value += element("dd", {{"class", "note"}}, note);
  return element("div", element("dt", name) + value);
}

std::string clock_text(const TuningEvidence& evidence) {
  if (evidence.clock_mhz_high == 0) return "not observed";
  if (evidence.clock_mhz_low == evidence.clock_mhz_high) {
    return fmt::format("{} MHz", evidence.clock_mhz_high);
  }
  return fmt::format("{} to {} MHz", evidence.clock_mhz_low, evidence.clock_mhz_high);
}

std::string cost_note(const TuningEvidence& evidence) {
  if (!(evidence.sweep_ms > 0) || !(evidence.device_ms > 0)) return {};
  return fmt::format("{:.3g} s on the GPU; every variant to the end: {:.3g} s",
                     evidence.device_ms / 1000, evidence.sweep_ms / 1000);
}

Html chosen_fact(const TuningView& view) {
  const TuningRecord& record = *view.record;
  if (record.set.empty()) return fact("Chosen", "nothing yet");
  std::string note;
  if (view.chosen && view.scores[*view.chosen] > view.best()) {
    note = fmt::format("{} to the fastest, {}",
                       slower_text(view.scores[*view.chosen] / view.best() - 1),
                       text_of(view.variant(view.order.front()).set));
  } else if (view.chosen) {
    note = "the fastest of those that were timed";
  }
  return fact("Chosen", text_of(record.set), note);
}

Html untuned_fact(const TuningView& view) {
  if (!view.untuned) return fact("Untuned choice", "not among the variants");
  const std::string gain = gain_text(view);
  std::string note = view.chosen ? "the chosen one is " + gain : gain;
  if (view.chosen == view.untuned && view.chosen) note = "it stays";
  return fact("Untuned choice", text_of(view.variant(*view.untuned).set), note);
}

Html measured_facts(const TuningView& view) {
  const TuningEvidence& evidence = view.record->evidence;
  Html facts = fact("Noise", evidence.noise > 0 ? percent_text(evidence.noise) : "not known",
                    "of a variant timed twice in turn; closer is equal");
  facts += fact("Multiprocessor clock", clock_text(evidence));
  const Html took = evidence.seconds > 0 ? Html(fmt::format("{:.3g} s", evidence.seconds)) : "?";
  return facts + fact("Tuning took", took, cost_note(evidence));
}

std::string record_note(const TuningRecord& record, const std::string& place) {
  std::string note = record.evidence.at.empty() ? "" : place;
  if (record.bundle.empty()) return note;
  return note + (note.empty() ? "" : "; ") + "template's files " + record.bundle.substr(0, 12);
}

Html facts_of(const TuningView& view, const std::string& place) {
  const TuningRecord& record = *view.record;
  const TuningEvidence& evidence = record.evidence;
  Html facts = chosen_fact(view);
  if (!view.scores.empty()) facts += untuned_fact(view);
  if (view.timed()) facts += measured_facts(view);
  facts += fact("Measured on", device_text(record),
                fmt::format("{}, NVRTC {}{}{}", record.arch, record.toolchain,
                            evidence.driver.empty() ? "" : ", driver ", evidence.driver));
  const std::string place_text = place.empty() ? "not read from a file" : place;
  return element("dl", {{"class", "facts"}},
                 facts + fact("Record", evidence.at.empty() ? place_text : evidence.at,
                              record_note(record, place)));
}

Html notes_of(const TuningView& view, const std::string& unused) {
  Html notes;
  const auto note = [&](const std::string& text) {
    notes += element("p", {{"class", "warning"}}, text);
  };
  if (!unused.empty()) note("Not used: " + unused + ".");
  if (view.scores.empty()) {
    note("The record has no evidence: how it was measured is not kept here.");
  } else if (!view.timed()) {
    note("Nothing was timed: this is what the compiler says.");
  } else if (!view.record->evidence.complete) {
    note("The budget was used up before every variant was timed to the end.");
  }
  if (!view.record->evidence.throttled.empty()) {
    note("The clock was held down meanwhile: " + view.record->evidence.throttled + ".");
  }
  return notes;
}

bool has_occupancy(const TuningView& view) {
  for (const TuningVariant& variant : view.record->evidence.variants) {
    if (variant.occupancy > 0) return true;
  }
  return false;
}

Html maps_of(const TuningView& view, const TuningGrid& grid) {
  Html maps;
  if (view.timed()) maps += heat_map(view, grid, {MapKind::kTime, {}});
  maps += heat_map(view, grid, {MapKind::kRegisters, {}});
  if (has_occupancy(view)) maps += heat_map(view, grid, {MapKind::kOccupancy, {}});
  return element("div", {{"class", "maps"}}, maps);
}

Html folded(const std::string& title, const Html& content, bool open) {
  return element("details", {{"class", "more"}, {"open", open ? "open" : ""}},
                 element("summary", element("h4", title)) + content);
}

Html pictures_of(const TuningView& view) {
  if (view.scores.empty()) return {};
  const TuningGrid grid = grid_of(view);
  Html pictures;
  if (!view.fixed.empty()) pictures += constants_list(view.fixed, "In every variant");
  pictures += maps_of(view, grid);
  if (view.timed()) pictures += spread_charts(view);
  const std::size_t sizes = view.record->evidence.sizes.size();
  if (view.timed() && sizes > 1) {
    Html maps;
    for (std::size_t size = 0; size < sizes; ++size) {
      maps += heat_map(view, grid, {MapKind::kTime, size});
    }
    pictures += folded("Time at each size", element("div", {{"class", "maps"}}, maps), false);
  }
  return pictures + folded(verdicts_text(view), scrolled(variant_table(view), "All variants"),
                           view.scores.size() <= kFewVariants);
}

}  // namespace

std::string gain_text(const TuningView& view) {
  if (!view.timed()) return view.scores.empty() ? "" : "not timed";
  if (view.chosen && view.chosen == view.untuned) return "as untuned";
  const std::optional<double> gain = view.gain();
  if (!gain) return view.untuned ? "untuned not timed" : "";
  if (*gain < 0) return percent_text(1 - 1 / (1 + *gain)) + " slower than untuned";
  return percent_text(*gain) + " faster than untuned";
}

std::string device_text(const TuningRecord& record) {
  if (record.device.name.empty()) return "no GPU";
  return fmt::format("{}, {} multiprocessors, {} GiB", record.device.name,
                     record.device.multiprocessors, record.device.memory_gib);
}

std::string summary_text(const TuningView& view) {
  std::string text = view.record->device.name.empty() ? "" : view.record->device.name + ": ";
  text += view.record->set.empty() ? "nothing chosen yet" : text_of(view.record->set);
  const std::string gain = gain_text(view);
  return gain.empty() ? text : text + ", " + gain;
}

Html record_section(const RecordSection& section) {
  const TuningRecord& record = section.placed.record;
  const TuningView view = view_of(record);
  Html summary = element("h3", section.title);
  summary += element("span", {{"class", "choice"}}, summary_text(view));
  const Html inner = element("summary", summary) + constants_list(record.shape, "Shape constants") +
                     notes_of(view, section.placed.unused) + facts_of(view, section.placed.place) +
                     pictures_of(view);
  return element("details",
                 {{"class", "record"}, {"id", section.id}, {"open", section.open ? "open" : ""}},
                 inner);
}

}  // namespace jit::inline v1
