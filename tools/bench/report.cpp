#include "bench/report.hpp"

#include <fmt/format.h>

#include "cubinet/json.hpp"
#include "cubinet/text.hpp"

namespace jit::inline v1 {
namespace {

std::string format_figure(double value) {
  if (value == 0) return "-";
  if (value < 10) return fmt::format("{:.2f}", value);
  return fmt::format("{:.1f}", value);
}

std::vector<std::string> names_of(const BenchRow& row) {
  std::vector<std::string> names;
  for (const auto& [name, value] : row.point) names.push_back(name);
  for (const auto& [name, value] : row.counts) names.push_back(name);
  for (const auto& [name, value] : row.figures) names.push_back(name);
  return names;
}

std::vector<TextTable::Column> columns_of(const BenchRow& row) {
  std::vector<TextTable::Column> columns;
  for (const std::string& name : names_of(row)) {
    columns.push_back({name, columns.size() < row.point.size() ? Align::kLeft : Align::kRight});
  }
  return columns;
}

std::vector<std::string> cells_of(const BenchRow& row) {
  std::vector<std::string> cells;
  for (const auto& [name, value] : row.point) cells.push_back(value);
  for (const auto& [name, value] : row.counts) cells.push_back(std::to_string(value));
  for (const auto& [name, value] : row.figures) cells.push_back(format_figure(value));
  return cells;
}

}  // namespace

std::string format_table(const BenchReport& report) {
  const std::string where =
      report.host.empty() ? fmt::format("{} ({}, {})", report.gpu, report.driver, report.toolchain)
                          : fmt::format("{} ({})", report.host, report.toolchain);
  std::string text = fmt::format("{} on {}\n{}\n", report.benchmark, where, report.method);
  for (std::size_t i = 0; i < report.rows.size();) {
    const std::vector<std::string> names = names_of(report.rows[i]);
    TextTable table(columns_of(report.rows[i]));
    while (i < report.rows.size() && names_of(report.rows[i]) == names) {
      table.add(cells_of(report.rows[i++]));
    }
    text += "\n" + table.text();
  }
  return text;
}

std::string format_json(const BenchReport& report) {
  Json document = Json::object(
      {{"benchmark", report.benchmark}, {"command", report.command}, {"commit", report.commit}});
  if (report.host.empty()) document.set("gpu", report.gpu).set("driver", report.driver);
  else document.set("host", report.host);
  document.set("toolchain", report.toolchain).set("method", report.method);
  document.set("rows", Json::array_of(report.rows, [](const BenchRow& row) {
                 Json item = Json::object();
                 for (const auto& [name, value] : row.point) item.set(name, value);
                 for (const auto& [name, value] : row.counts) item.set(name, value);
                 for (const auto& [name, value] : row.figures) item.set(name, value);
                 return item;
               }));
  return document.text();
}

}  // namespace jit::inline v1
