#include <fmt/format.h>

#include <algorithm>

#include "base/quantity.hpp"
#include "cubinet/report/figures.hpp"
#include "cubinet/report/list_table.hpp"
#include "cubinet/report/page.hpp"
#include "cubinet/report/record_section.hpp"
#include "cubinet/report/report.hpp"
#include "cubinet/text.hpp"

namespace jit::inline v1 {
namespace {

std::string registers_text(const EntryGroup& group) {
  std::vector<double> registers;
  for (const ReportEntry* entry : group.entries) registers.push_back(entry->registers);
  return spread_text(registers);
}

std::string kernels_text(const Report& report) {
  std::uint64_t bytes = 0;
  for (const ReportEntry& entry : report.entries) bytes += entry.bytes;
  std::string text =
      fmt::format("{}, {}", count_text(report.entries.size(), "kernel"), format_bytes(bytes));
  if (!report.place.empty()) text += " in " + report.place;
  if (report.unreadable > 0) {
    text += fmt::format("; {} cannot be read, see cubinet cache verify",
                        count_text(report.unreadable, "more entry"));
  }
  return text;
}

std::string steps_text(const TuningRecord& record) {
  return record.buckets.empty() ? record.name : record.name + ", " + text_of(record.buckets);
}

Json constants_json(const std::vector<RecordedConstant>& constants) {
  Json json = Json::object();
  for (const RecordedConstant& constant : constants) {
    json.set(constant.name,
             std::visit([](const auto& value) { return Json(value); }, constant.value));
  }
  return json;
}

Json record_json(const PlacedRecord& placed) {
  const TuningRecord& record = placed.record;
  const TuningView view = view_of(record);
  Json buckets = Json::object();
  for (const RecordedBucket& bucket : record.buckets) buckets.set(bucket.name, bucket.step);
  Json json = Json::object({{"place", placed.place},
                            {"template", record.name},
                            {"constants", constants_json(record.shape)},
                            {"buckets", buckets},
                            {"device", record.device.name},
                            {"arch", record.arch},
                            {"toolchain", record.toolchain},
                            {"set", constants_json(record.set)},
                            {"variants", view.scores.size()},
                            {"measured", view.count(TuningVerdict::kMeasured)}});
  const std::optional<double> gain = view.gain();
  json.set("faster_than_untuned", gain ? Json(*gain) : Json());
  return json.set("unused", placed.unused.empty() ? Json() : Json(placed.unused));
}

Json group_json(const EntryGroup& group) {
  return Json::object({{"template", group.name},
                       {"kernels", group.entries.size()},
                       {"bytes", group.bytes},
                       {"compile_ms", group.compile_ms},
                       {"spilling", group.spilling}});
}

Json kernel_json(const ReportEntry& entry) {
  return Json::object({{"key", entry.key},
                       {"template", entry.name},
                       {"constants", entry.constants},
                       {"arch", entry.arch},
                       {"toolchain", entry.toolchain},
                       {"registers", entry.registers},
                       {"spill_bytes", entry.spill_bytes},
                       {"shared_bytes", entry.smem_bytes},
                       {"occupancy", entry.occupancy > 0 ? Json(entry.occupancy) : Json()},
                       {"compile_ms", entry.compile_ms},
                       {"bytes", entry.bytes}});
}

Html skipped_section(const Report& report) {
  if (report.skipped.empty() && report.problems.empty()) return {};
  Html items;
  for (const std::string& problem : report.problems) items += element("li", problem);
  for (const SkippedRecord& skipped : report.skipped) {
    items += element("li", skipped.place + ": " + skipped.reason);
  }
  return element("section", {{"class", "card"}},
                 element("h3", "Passed over") + element("ul", items));
}

}  // namespace

std::string report_text(const Report& report) {
  std::string text = kernels_text(report) + "\n";
  TextTable kernels({{"TEMPLATE"},
                     {"KERNELS", Align::kRight},
                     {"REGISTERS"},
                     {"SPILLING", Align::kRight},
                     {"COMPILE s", Align::kRight},
                     {"BYTES", Align::kRight}},
                    2);
  for (const EntryGroup& group : groups_of(report.entries)) {
    kernels.add({group.name, std::to_string(group.entries.size()), registers_text(group),
                 std::to_string(group.spilling), fmt::format("{:.1f}", group.compile_ms / 1000),
                 format_bytes(group.bytes)});
  }
  if (!kernels.empty()) text += kernels.text();
  text += count_text(report.records.size(), "tuning record") + "\n";
  TextTable records({{"TUNED"}, {"ON"}, {"CHOSEN"}, {"AGAINST UNTUNED"}, {"RECORD"}}, 2);
  for (const PlacedRecord& placed : report.records) {
    const TuningView view = view_of(placed.record);
    records.add({steps_text(placed.record), placed.record.device.name, text_of(placed.record.set),
                 placed.unused.empty() ? gain_text(view) : "not used: " + placed.unused,
                 placed.place});
  }
  if (!records.empty()) text += records.text();
  for (const SkippedRecord& skipped : report.skipped) {
    text += fmt::format("passed over {}: {}\n", skipped.place, skipped.reason);
  }
  for (const std::string& problem : report.problems) text += problem + "\n";
  return text;
}

Json report_json(const Report& report) {
  return Json::object(
      {{"path", report.place.empty() ? Json() : Json(report.place)},
       {"unreadable", report.unreadable},
       {"templates", Json::array_of(groups_of(report.entries), group_json)},
       {"kernels", Json::array_of(report.entries, kernel_json)},
       {"records", Json::array_of(report.records, record_json)},
       {"skipped",
        Json::array_of(
            report.skipped,
            [](const SkippedRecord& skipped) {
              return Json::object({{"place", skipped.place}, {"reason", skipped.reason}});
            })},
       {"problems", Json::array_of(report.problems,
                                   [](const std::string& problem) { return Json(problem); })}});
}

std::string report_page(const Report& report) {
  const std::string records = count_text(report.records.size(), "tuning record");
  Html content = element("header", element("h1", "Cubinet report") +
                                       element("p", kernels_text(report) + ". " + records + "."));
  if (!report.records.empty()) {
    content += element("h2", "Tuning") + tuning_sections(report.records);
  }
  if (!report.entries.empty()) {
    content += element("h2", "Kernels") + entry_sections(report.entries);
  }
  return page_of("Cubinet report", content + skipped_section(report));
}

}  // namespace jit::inline v1
