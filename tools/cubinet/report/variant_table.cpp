#include "cubinet/report/variant_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cubinet/report/figures.hpp"
#include "cubinet/report/list_table.hpp"

namespace jit::inline v1 {
namespace {

constexpr double kMostRegisters = 255;
constexpr std::size_t kMaxTimeColumns = 4;

// What of the variants has a column: nothing that all of them lack.
struct Columns {
  explicit Columns(const TuningView& view) {
    const auto& variants = view.record->evidence.variants;
    const auto any = [&](auto has) { return std::any_of(variants.begin(), variants.end(), has); };
    if (view.timed()) sizes = std::min(view.record->evidence.sizes.size(), kMaxTimeColumns);
    mean = view.timed() && view.record->evidence.sizes.size() > 1;
    smem = any([](const TuningVariant& variant) { return variant.smem_bytes > 0; });
    wgmma = any([](const TuningVariant& variant) { return variant.serialized_wgmma > 0; });
    occupancy = any([](const TuningVariant& variant) { return variant.occupancy > 0; });
    reason = any([](const TuningVariant& variant) { return !variant.reason.empty(); });
  }

  bool mean = false;
  std::size_t sizes = 0;
  bool smem = false;
  bool wgmma = false;
  bool occupancy = false;
  bool reason = false;
};

std::string size_head(const TuningView& view, std::size_t size) {
  return "us at " + view.size_text(size);
}

std::vector<std::string> heads_of(const TuningView& view, const Columns& columns) {
  std::vector<std::string> heads{"Variant", "Verdict"};
  if (columns.mean) heads.emplace_back("Mean us");
  for (std::size_t size = 0; size < columns.sizes; ++size) heads.push_back(size_head(view, size));
  if (columns.sizes > 0) heads.emplace_back("Samples");
  heads.insert(heads.end(), {"Registers", "Spills, bytes"});
  if (columns.smem) heads.emplace_back("Shared, bytes");
  if (columns.wgmma) heads.emplace_back("Serialised wgmma");
  if (columns.occupancy) heads.emplace_back("Occupancy");
  if (columns.reason) heads.emplace_back("Reason");
  return heads;
}

// Per size; those of the size that has the fewest.
std::string samples_text(const TuningVariant& variant) {
  if (variant.times.empty()) return "-";
  const auto fewest = std::min_element(
      variant.times.begin(), variant.times.end(),
      [](const TuningTime& a, const TuningTime& b) { return a.samples < b.samples; });
  return std::to_string(fewest->samples);
}

Html times_of(const TuningView& view, const Columns& columns, std::size_t index) {
  const TuningVariant& variant = view.variant(index);
  Html cells;
  if (columns.mean) {
    const double score = view.scores[index];
    std::string value = time_text(score);
    if (score > 0 && score > view.best()) value += " " + slower_text(score / view.best() - 1);
    cells += labelled_cell("Mean us", value, "number");
  }
  for (std::size_t size = 0; size < columns.sizes; ++size) {
    const std::string value = time_text(median_us(variant, size));
    cells += labelled_cell(size_head(view, size), value, "number");
  }
  if (columns.sizes > 0) cells += labelled_cell("Samples", samples_text(variant), "number");
  return cells;
}

Html facts_of(const TuningVariant& variant, const Columns& columns) {
  const bool compiled = variant.verdict != TuningVerdict::kRefused || variant.registers > 0;
  const auto figure = [&](std::uint32_t value) {
    return compiled ? std::to_string(value) : std::string("-");
  };
  Html cells =
      bar_cell("Registers", figure(variant.registers), variant.registers / kMostRegisters) +
      labelled_cell("Spills, bytes", figure(variant.spill_bytes),
                    variant.spill_bytes > 0 ? "number bad" : "number");
  if (columns.smem) cells += labelled_cell("Shared, bytes", figure(variant.smem_bytes), "number");
  if (columns.wgmma) {
    cells += labelled_cell("Serialised wgmma", figure(variant.serialized_wgmma), "number");
  }
  if (columns.occupancy) {
    const bool known = variant.occupancy > 0;
    cells += bar_cell("Occupancy", known ? fmt::format("{:.0f} %", 100 * variant.occupancy) : "-",
                      variant.occupancy);
  }
  if (columns.reason) cells += labelled_cell("Reason", variant.reason, "reason");
  return cells;
}

Html row_of(const TuningView& view, const Columns& columns, std::size_t index) {
  const TuningVariant& variant = view.variant(index);
  Html name = element("span", {{"class", "name"}}, text_of(variant.set));
  if (view.chosen == index) name += element("em", "chosen");
  if (view.untuned == index) name += element("em", "untuned");
  const std::string verdict(word_of(variant.verdict));
  const bool fine =
      variant.verdict == TuningVerdict::kMeasured || variant.verdict == TuningVerdict::kNotReached;
  return element("tr", {{"role", "row"}, {"class", view.chosen == index ? "chosen" : ""}},
                 element("th", {{"role", "rowheader"}, {"scope", "row"}}, name) +
                     labelled_cell("Verdict", verdict, fine ? "" : "bad") +
                     times_of(view, columns, index) + facts_of(variant, columns));
}

}  // namespace

std::string verdicts_text(const TuningView& view) {
  std::string text = count_text(view.scores.size(), "variant");
  const char* separator = ": ";
  for (const TuningVerdict verdict :
       {TuningVerdict::kMeasured, TuningVerdict::kWrong, TuningVerdict::kRefused,
        TuningVerdict::kRejected, TuningVerdict::kNotReached}) {
    const std::size_t count = view.count(verdict);
    if (count == 0) continue;
    text += fmt::format("{}{} {}", separator, count, word_of(verdict));
    separator = ", ";
  }
  return text;
}

Html variant_table(const TuningView& view) {
  const Columns columns(view);
  Html rows;
  for (const std::size_t index : view.order) rows += row_of(view, columns, index);
  return list_table(heads_of(view, columns), rows);
}

}  // namespace jit::inline v1
