#include "cubinet/report/entries_section.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/quantity.hpp"
#include "cubinet/report/figures.hpp"
#include "cubinet/report/list_table.hpp"
#include "cubinet/report/spread_chart.hpp"

namespace jit::inline v1 {
namespace {

// More kernels than these begin closed.
constexpr std::size_t kFewEntries = 40;
constexpr double kMostRegisters = 255;
constexpr std::size_t kBins = 24;

// Values in the bins of a scale, as bars.
Html histogram(const std::string& title, const std::string& unit, const std::vector<double>& values,
               AxisScale scale) {
  std::array<double, kBins> counts{};
  for (const double value : values) {
    const double share = std::clamp(scale.share(value), 0.0, 1.0);
    counts[std::min(static_cast<std::size_t>(share * kBins), kBins - 1)] += 1;
  }
  const double most = *std::max_element(counts.begin(), counts.end());
  const std::string words = spread_text(values) + unit;
  Html bars = element("title", title + ": " + words);
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    if (counts[bin] == 0) continue;
    const double height = 4 + 36 * counts[bin] / most;
    bars += element("rect", {{"class", "bar"},
                             {"x", width_text((static_cast<double>(bin) + 0.08) / kBins)},
                             {"width", width_text(0.84 / kBins)},
                             {"y", fmt::format("{:.1f}", 40 - height)},
                             {"height", fmt::format("{:.1f}", height)}});
  }
  const Html picture = element("svg", {{"role", "img"}, {"width", "100%"}, {"height", "40"}}, bars);
  const Html ends = element("div", {{"class", "ends"}, {"aria-hidden", "true"}},
                            element("span", fmt::format("{:g}", scale.low)) +
                                element("span", fmt::format("{:g}", scale.high)));
  return element(
      "figure", element("figcaption", element("h4", title) + element("p", words)) + picture + ends);
}

template <class Get>
std::vector<double> values_of(const EntryGroup& group, Get get) {
  std::vector<double> values;
  for (const ReportEntry* entry : group.entries) values.push_back(static_cast<double>(get(*entry)));
  return values;
}

Html distributions_of(const EntryGroup& group) {
  const auto registers = values_of(group, [](const ReportEntry& entry) { return entry.registers; });
  const auto kib = values_of(
      group, [](const ReportEntry& entry) { return static_cast<double>(entry.bytes) / 1024; });
  std::vector<double> compile = values_of(group, [](const ReportEntry& entry) {
    return std::isfinite(entry.compile_ms) ? entry.compile_ms : 0;
  });
  const auto up_to = [](const std::vector<double>& values) {
    const double most = std::max(*std::max_element(values.begin(), values.end()), 1.0);
    return AxisScale{0, scale_over(most / 2, most).high, 1};
  };
  return element("div", {{"class", "distribution"}},
                 histogram("Registers", " per thread", registers, {0, 256, 32}) +
                     histogram("Compile time", " ms", compile, up_to(compile)) +
                     histogram("Size of the entry", " KiB", kib, up_to(kib)));
}

Html row_of(const ReportEntry& entry, const std::string& own) {
  const bool known = entry.occupancy > 0;
  return element(
      "tr", {{"role", "row"}},
      element("th", {{"role", "rowheader"}, {"scope", "row"}}, element("span", own)) +
          labelled_cell("Key", element("code", entry.key)) + labelled_cell("Arch", entry.arch) +
          labelled_cell("Compiler", entry.toolchain) +
          bar_cell("Registers", std::to_string(entry.registers), entry.registers / kMostRegisters) +
          labelled_cell("Spills, bytes", std::to_string(entry.spill_bytes),
                        entry.spill_bytes > 0 ? "number bad" : "number") +
          labelled_cell("Shared, bytes", std::to_string(entry.smem_bytes), "number") +
          bar_cell("Occupancy", known ? fmt::format("{:.0f} %", 100 * entry.occupancy) : "-",
                   entry.occupancy) +
          labelled_cell("Compile ms",
                        entry.compile_ms > 0 ? fmt::format("{:.1f}", entry.compile_ms) : "-",
                        "number") +
          labelled_cell("Size", format_bytes(entry.bytes), "number"));
}

std::string summary_of(const EntryGroup& group) {
  std::string text =
      fmt::format("{}, {}, {:.1f} s of compiling", count_text(group.entries.size(), "kernel"),
                  format_bytes(group.bytes), group.compile_ms / 1000);
  if (group.spilling > 0) text += fmt::format(", {} with spills", group.spilling);
  return text;
}

Html section_of(const EntryGroup& group) {
  Html rows;
  for (std::size_t i = 0; i < group.entries.size(); ++i) {
    rows += row_of(*group.entries[i], group.own[i]);
  }
  const Html table = list_table({"Kernel", "Key", "Arch", "Compiler", "Registers", "Spills, bytes",
                                 "Shared, bytes", "Occupancy", "Compile ms", "Size"},
                                rows);
  Html common;
  if (!group.common.empty()) {
    common = element("p", {{"class", "note"}}, "All have " + group.common + ".");
  }
  const bool open = group.entries.size() <= kFewEntries;
  return element(
      "section", {{"class", "card"}},
      element("h3", group.name) + element("p", {{"class", "note"}}, summary_of(group)) + common +
          distributions_of(group) +
          element("details", {{"class", "more"}, {"open", open ? "open" : ""}},
                  element("summary", element("h4", count_text(group.entries.size(), "kernel"))) +
                      scrolled(table, "Kernels of " + group.name)));
}

}  // namespace

Html entry_sections(std::span<const ReportEntry> entries) {
  Html sections;
  for (const EntryGroup& group : groups_of(entries)) sections += section_of(group);
  return sections;
}

}  // namespace jit::inline v1
