// Reports of benchmarks: one table for people, one JSON document to commit.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace jit::inline v1 {

// One row: names of the point, then what was counted, then figures; a figure of 0 is one that is
// missing. Rows of one kind have the same names, and follow each other: they are one table.
struct BenchRow {
  std::vector<std::pair<std::string, std::string>> point;
  std::vector<std::pair<std::string, std::uint64_t>> counts;
  std::vector<std::pair<std::string, double>> figures;
};

struct BenchReport {
  std::string benchmark;
  std::string command;
  std::string commit;
  std::string host;  // of what needs no GPU; then there is none of the next two
  std::string gpu;
  std::string driver;
  std::string toolchain;
  std::string method;
  std::vector<BenchRow> rows;
};

std::string format_table(const BenchReport& report);
std::string format_json(const BenchReport& report);

}  // namespace jit::inline v1
