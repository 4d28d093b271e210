// Report: a whole cache and every tuning record that a process with this environment would find.
#pragma once

#include <string>
#include <vector>

#include "cubinet/context.hpp"
#include "cubinet/json.hpp"
#include "cubinet/report/entries_section.hpp"
#include "cubinet/report/tuning_page.hpp"
#include "tune/tuning_table.hpp"

namespace jit::inline v1 {

struct Report {
  std::string place;  // the directory of the cache; empty if there is none
  std::vector<ReportEntry> entries;
  std::size_t unreadable = 0;          // entries whose header does not hold together
  std::vector<PlacedRecord> records;   // of several for one thing the one that counts
  std::vector<SkippedRecord> skipped;  // lines that are no record
  std::vector<std::string> problems;   // sources that cannot be read, and why
};

// Looks at the cache, and at records in `files`, which count first, and where a Runtime looks for
// them. Changes nothing. Errors: kIo for a file of `files` that cannot be read, and for a directory
// that is not to be trusted.
Report collect_report(Context& context, const std::vector<std::string>& files);

std::string report_text(const Report& report);
Json report_json(const Report& report);
std::string report_page(const Report& report);

}  // namespace jit::inline v1
