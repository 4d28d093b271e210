#include "cubinet/report/list_table.hpp"

#include "cubinet/report/figures.hpp"

namespace jit::inline v1 {

Html labelled_cell(const std::string& label, const Html& content, const std::string& kind) {
  return element("td", {{"role", "cell"}, {"class", kind}, {"data-label", label}},
                 element("span", content));
}

Html bar_cell(const std::string& label, const std::string& value, double share) {
  const Html bar = element(
      "svg", {{"width", "100%"}, {"height", "4"}, {"aria-hidden", "true"}},
      element("rect", {{"class", "room"}, {"width", "100%"}, {"height", "4"}}) +
          element("rect", {{"class", "bar"}, {"width", width_text(share)}, {"height", "4"}}));
  return element("td", {{"role", "cell"}, {"class", "number"}, {"data-label", label}},
                 element("span", Html(value) + bar));
}

Html list_table(const std::vector<std::string>& heads, const Html& rows) {
  Html cells;
  for (const std::string& head : heads) {
    cells += element("th", {{"role", "columnheader"}, {"scope", "col"}}, head);
  }
  return element("table", {{"class", "list"}, {"role", "table"}},
                 element("thead", {{"role", "rowgroup"}}, element("tr", {{"role", "row"}}, cells)) +
                     element("tbody", {{"role", "rowgroup"}}, rows));
}

}  // namespace jit::inline v1
