#include "cubinet/report/tuning_page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "cubinet/report/figures.hpp"
#include "cubinet/report/list_table.hpp"
#include "cubinet/report/page.hpp"
#include "cubinet/report/record_section.hpp"

namespace jit::inline v1 {
namespace {

// More records than these begin closed.
constexpr std::size_t kFewRecords = 4;

using Order = std::vector<const PlacedRecord*>;

Order sorted(std::span<const PlacedRecord> records) {
  Order order;
  for (const PlacedRecord& placed : records) order.push_back(&placed);
  const auto key = [](const PlacedRecord& placed) {
    const TuningRecord& record = placed.record;
    return std::tie(record.name, record.shape, record.buckets, record.arch, record.device,
                    record.toolchain, record.bundle, record.evidence.at, record.set, placed.place);
  };
  std::stable_sort(order.begin(), order.end(),
                   [&](const PlacedRecord* a, const PlacedRecord* b) { return key(*a) < key(*b); });
  return order;
}

// The shape constants in which the records of one template differ.
std::map<std::string, std::set<std::string>> differing(const Order& records) {
  std::map<std::string, std::map<std::string, std::set<std::string>>> values;
  for (const PlacedRecord* placed : records) {
    for (const RecordedConstant& constant : placed->record.shape) {
      values[placed->record.name][constant.name].insert(text_of(constant));
    }
  }
  std::map<std::string, std::set<std::string>> names;
  for (const auto& [name, constants] : values) {
    for (const auto& [constant, texts] : constants) {
      if (texts.size() > 1) names[name].insert(constant);
    }
  }
  return names;
}

std::string shape_text(const TuningRecord& record, const std::set<std::string>& names) {
  std::vector<RecordedConstant> constants;
  for (const RecordedConstant& constant : record.shape) {
    if (names.contains(constant.name)) constants.push_back(constant);
  }
  return text_of(constants);
}

std::string title_of(const TuningRecord& record, const std::string& shape) {
  std::string title = record.name;
  for (const std::string& part : {shape, text_of(record.buckets)}) {
    if (!part.empty()) title += ", " + part;
  }
  return title;
}

Html overview_row(const PlacedRecord& placed, const std::string& title, const std::string& id) {
  const TuningRecord& record = placed.record;
  const TuningView view = view_of(record);
  return element(
      "tr", {{"role", "row"}},
      element("th", {{"role", "rowheader"}, {"scope", "row"}},
              element("a", {{"href", "#" + id}}, title)) +
          labelled_cell("Device", device_text(record)) +
          labelled_cell("Chosen", text_of(record.set)) +
          labelled_cell("Against untuned", placed.unused.empty() ? gain_text(view) : "not used"));
}

}  // namespace

Html tuning_sections(std::span<const PlacedRecord> records) {
  const Order order = sorted(records);
  const auto names = differing(order);
  Html rows;
  Html sections;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const TuningRecord& record = order[i]->record;
    const auto found = names.find(record.name);
    const std::string title =
        title_of(record, found == names.end() ? std::string{} : shape_text(record, found->second));
    const std::string id = fmt::format("record-{}", i + 1);
    rows += overview_row(*order[i], title, id);
    sections += record_section({*order[i], id, title, order.size() <= kFewRecords});
  }
  if (order.size() < 2) return sections;
  const Html overview = list_table({"Record", "Device", "Chosen", "Against untuned"}, rows);
  return scrolled(overview, "All records") + sections;
}

std::string tuning_page(std::string_view title, std::span<const PlacedRecord> records) {
  const Html head = element(
      "header", element("h1", title) + element("p", count_text(records.size(), "tuning record")));
  return page_of(title, head + element("h2", "Records") + tuning_sections(records));
}

}  // namespace jit::inline v1
