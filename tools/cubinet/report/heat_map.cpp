#include "cubinet/report/heat_map.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "cubinet/report/figures.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kNarrowColumns = 5;

struct Cell {
  std::string shade;  // a class of the style sheet
  std::string value;
  std::string note;
};

// What one map is about: how a variant is shown in it.
class Subject {
 public:
  Subject(const TuningView& view, MapSubject subject) : view_(view), subject_(subject) {
    if (subject.kind != MapKind::kTime) return;
    for (std::size_t i = 0; i < view.scores.size(); ++i) {
      const double time = time_of(i);
      if (time > 0 && (best_ <= 0 || time < best_)) best_ = time;
    }
  }

  std::string title() const {
    switch (subject_.kind) {
      case MapKind::kRegisters: return "Registers and spills";
      case MapKind::kOccupancy: return "Occupancy";
      case MapKind::kTime: break;
    }
    return subject_.size ? "Time at " + view_.size_text(*subject_.size) : "Time";
  }

  std::string words() const {
    switch (subject_.kind) {
      case MapKind::kRegisters: return "Per thread; a spill is in bytes per thread.";
      case MapKind::kOccupancy: return "Share of the warps that a multiprocessor can hold.";
      case MapKind::kTime: break;
    }
    const std::size_t sizes = view_.record->evidence.sizes.size();
    if (subject_.size || sizes == 1) return "Microseconds per launch.";
    return fmt::format("Microseconds per launch, geometric mean of {} sizes.", sizes);
  }

  Cell cell_of(std::size_t index) const {
    const TuningVariant& variant = view_.variant(index);
    if (variant.verdict == TuningVerdict::kRefused) return {"none", "refused", {}};
    switch (subject_.kind) {
      case MapKind::kRegisters: return registers_of(variant);
      case MapKind::kOccupancy: return occupancy_of(variant);
      case MapKind::kTime: break;
    }
    const double time = time_of(index);
    if (time <= 0) return {"none", std::string(word_of(variant.verdict)), {}};
    const double slower = time / best_ - 1;
    return {fmt::format("t{}", shade_of(slower)), time_text(time, 3),
            slower > 0 ? slower_text(slower) : "fastest"};
  }

  Html legend() const {
    Html items = element("li", legend_head());
    for (std::size_t shade = 0; shade < kShades; ++shade) {
      const auto [letter, words] = step_of(shade);
      items +=
          element("li", element("span", {{"class", fmt::format("swatch {}{}", letter, shade)}}) +
                            Html(words));
    }
    return element("ul", {{"class", "legend"}}, items);
  }

 private:
  std::string legend_head() const {
    switch (subject_.kind) {
      case MapKind::kRegisters: return "Registers:";
      case MapKind::kOccupancy: return "Warps:";
      case MapKind::kTime: break;
    }
    return "Slower than the fastest by up to";
  }
  double time_of(std::size_t index) const {
    if (!subject_.size) return view_.scores[index];
    const TuningVariant& variant = view_.variant(index);
    return variant.verdict == TuningVerdict::kMeasured ? median_us(variant, *subject_.size) : 0;
  }

  static Cell registers_of(const TuningVariant& variant) {
    const double registers = variant.registers;
    Cell cell{fmt::format("r{}", pale_shade_of(registers, kRegisterBounds)),
              std::to_string(variant.registers),
              {}};
    if (variant.spill_bytes > 0) {
      cell.shade += " spills";
      cell.note = fmt::format("spills {}", variant.spill_bytes);
    }
    return cell;
  }
  static Cell occupancy_of(const TuningVariant& variant) {
    if (variant.occupancy <= 0) return {"none", "?", {}};
    return {fmt::format("o{}", pale_shade_of(variant.occupancy, kOccupancyBounds)),
            fmt::format("{:.0f} %", 100 * variant.occupancy),
            {}};
  }

  // The class and the words of one step of the scale, the strongest first.
  std::pair<char, std::string> step_of(std::size_t shade) const {
    const std::size_t above = kShades - 1 - shade;  // how many bounds it is beyond, from the palest
    switch (subject_.kind) {
      case MapKind::kRegisters:
        return {'r', above == 0 ? fmt::format("to {:.0f}", kRegisterBounds[0])
                                : fmt::format("over {:.0f}", kRegisterBounds[above - 1])};
      case MapKind::kOccupancy:
        return {'o', above == 0 ? fmt::format("to {:g} %", 100 * kOccupancyBounds[0])
                                : fmt::format("over {:g} %", 100 * kOccupancyBounds[above - 1])};
      case MapKind::kTime: break;
    }
    return {'t', shade == kShades - 1 ? "more" : fmt::format("{:g} %", 100 * kSlowerBounds[shade])};
  }

  const TuningView& view_;
  MapSubject subject_;
  double best_ = 0;
};

Html cell_html(const TuningView& view, const Subject& subject, std::size_t index) {
  if (index == kNoVariant) return element("td", {{"class", "none"}}, "");
  const Cell cell = subject.cell_of(index);
  std::string classes = cell.shade;
  Html content = element("b", cell.value);
  if (!cell.note.empty()) content += element("small", cell.note);
  if (view.chosen == index) {
    classes += " chosen";
    content += element("em", "chosen");
  }
  if (view.untuned == index) {
    classes += " untuned";
    content += element("em", "untuned");
  }
  return element("td", {{"class", classes}}, content);
}

Html head_of(const TuningGrid& grid) {
  const std::size_t columns = std::max<std::size_t>(grid.columns.values.size(), 1);
  const Html corner = element("th", {{"scope", "col"}, {"class", "axis"}}, grid.rows.name);
  if (grid.columns.name.empty()) {
    return element("thead", element("tr", corner + element("th", {{"scope", "col"}}, "all")));
  }
  Html values;
  for (const std::string& value : grid.columns.values) {
    values += element("th", {{"scope", "col"}}, value);
  }
  const Html name = element(
      "th", {{"scope", "colgroup"}, {"class", "axis"}, {"colspan", std::to_string(columns)}},
      grid.columns.name);
  return element("thead", element("tr", element("td", {{"class", "corner"}}) + name) +
                              element("tr", corner + values));
}

Html table_of(const TuningView& view, const TuningGrid& grid, const TuningFacet& facet,
              const Subject& subject) {
  const std::size_t columns = std::max<std::size_t>(grid.columns.values.size(), 1);
  Html rows;
  for (std::size_t row = 0; row < std::max<std::size_t>(grid.rows.values.size(), 1); ++row) {
    const std::string name = grid.rows.values.empty() ? "" : grid.rows.values[row];
    Html cells = element("th", {{"scope", "row"}}, name);
    for (std::size_t column = 0; column < columns; ++column) {
      cells += cell_html(view, subject, facet.cells[row * columns + column]);
    }
    rows += element("tr", cells);
  }
  Html caption;
  if (!facet.rest.empty()) caption = element("caption", text_of(facet.rest));
  const Html table =
      element("table", {{"class", "heat"}}, caption + head_of(grid) + element("tbody", rows));
  // More columns than a phone has room for: they are scrolled alone, by keyboard too.
  if (columns > kNarrowColumns) return scrolled(table, subject.title());
  return element("div", table);
}

std::string words_of(const TuningGrid& grid, const Subject& subject) {
  if (grid.best_of.empty()) return subject.words();
  return fmt::format("{} Each cell is the fastest of the variants that differ in {} alone.",
                     subject.words(), fmt::join(grid.best_of, ", "));
}

}  // namespace

Html heat_map(const TuningView& view, const TuningGrid& grid, MapSubject subject) {
  const Subject shown(view, subject);
  Html facets;
  for (const TuningFacet& facet : grid.facets) facets += table_of(view, grid, facet, shown);
  return element(
      "figure", {{"class", grid.facets.size() > 1 ? "map many" : "map"}},
      element("figcaption", element("h4", shown.title()) + element("p", words_of(grid, shown))) +
          element("div", {{"class", "facets"}}, facets) + shown.legend());
}

}  // namespace jit::inline v1
