#include "bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace jit::inline v1 {
namespace {

std::string format_figure(double value) {
  if (value == 0) return "-";
  return fmt::format("{:.{}f}", value, value < 10 ? 2 : 1);
}

}  // namespace

std::string format_table(const BenchReport& report) {
  std::vector<std::vector<std::string>> cells;
  if (!report.rows.empty()) {
    std::vector<std::string>& head = cells.emplace_back();
    for (const auto& [name, value] : report.rows.front().point) head.push_back(name);
    for (const auto& [name, value] : report.rows.front().figures) head.push_back(name);
  }
  for (const BenchRow& row : report.rows) {
    std::vector<std::string>& line = cells.emplace_back();
    for (const auto& [name, value] : row.point) line.push_back(value);
    for (const auto& [name, value] : row.figures) line.push_back(format_figure(value));
  }
  std::vector<std::size_t> widths;
  for (const auto& line : cells) {
    widths.resize(std::max(widths.size(), line.size()));
    for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], line[i].size());
  }
  std::string text = fmt::format("{} on {} ({}, {})\n{}\n", report.benchmark, report.gpu,
                                 report.driver, report.toolchain, report.method);
  for (const auto& line : cells) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      text += fmt::format("{:>{}}{}", line[i], widths[i], i + 1 == line.size() ? "\n" : "  ");
    }
  }
  return text;
}

std::string format_json(const BenchReport& report) {
  nlohmann::ordered_json document;
  document["benchmark"] = report.benchmark;
  document["command"] = report.command;
  document["commit"] = report.commit;
  document["gpu"] = report.gpu;
  document["driver"] = report.driver;
  document["toolchain"] = report.toolchain;
  document["method"] = report.method;
  document["rows"] = nlohmann::ordered_json::array();
  for (const BenchRow& row : report.rows) {
    nlohmann::ordered_json item;
    for (const auto& [name, value] : row.point) item[name] = value;
    for (const auto& [name, value] : row.figures) item[name] = value;
    document["rows"].push_back(std::move(item));
  }
  return document.dump(2) + "\n";
}

}  // namespace jit::inline v1
