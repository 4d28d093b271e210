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

}  // namespace

std::string format_table(const BenchReport& report) {
  const std::string where =
      report.host.empty() ? fmt::format("{} ({}, {})", report.gpu, report.driver, report.toolchain)
                          : fmt::format("{} ({})", report.host, report.toolchain);
  std::string text = fmt::format("{} on {}\n{}\n\n", report.benchmark, where, report.method);
  if (report.rows.empty()) return text;
  std::vector<TextTable::Column> columns;
  for (const auto& [name, value] : report.rows.front().point) columns.push_back({name});
  for (const auto& [name, value] : report.rows.front().figures) {
    columns.push_back({name, Align::kRight});
  }
  TextTable table(std::move(columns));
  for (const BenchRow& row : report.rows) {
    std::vector<std::string> cells;
    for (const auto& [name, value] : row.point) cells.push_back(value);
    for (const auto& [name, value] : row.figures) cells.push_back(format_figure(value));
    table.add(std::move(cells));
  }
  return text + table.text();
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
                 for (const auto& [name, value] : row.figures) item.set(name, value);
                 return item;
               }));
  return document.text();
}

}  // namespace jit::inline v1
