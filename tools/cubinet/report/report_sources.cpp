#include <fmt/format.h>

#include <utility>

#include "cache/inspection.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/report/report.hpp"
#include "cubinet/tuning/tuning_listing.hpp"
#include "runtime/runtime_impl.hpp"
#include "tune/occupancy.hpp"

namespace jit::inline v1 {
namespace {

// What stands between the brackets of a signature.
std::string constants_of_signature(const std::string& signature) {
  const std::size_t begin = signature.find('[');
  const std::size_t end = signature.rfind(']');
  if (begin == std::string::npos || end == std::string::npos || end < begin) return signature;
  return signature.substr(begin + 1, end - begin - 1);
}

ReportEntry report_entry(const EntryInfo& info) {
  const Entry& entry = info.summary->entry;
  const ArtifactFacts& facts = entry.artifact.facts;
  ReportEntry result;
  result.key = short_key(info);
  result.name = entry.name;
  result.constants = constants_of_signature(entry.signature);
  result.arch = entry.artifact.arch.text();
  result.toolchain = entry.artifact.toolchain.text();
  result.registers = facts.registers;
  result.spill_bytes = facts.spill_bytes();
  result.smem_bytes = facts.smem_bytes;
  if (facts.max_threads > 0) {
    const auto occupancy = occupancy_of(entry.artifact.arch.capability(), facts.max_threads,
                                        facts.registers, facts.smem_bytes);
    if (occupancy) result.occupancy = occupancy->share;
  }
  result.compile_ms = static_cast<double>(facts.compile_us()) / 1000;
  result.bytes = info.size_bytes;
  return result;
}

void collect_entries(Context& context, Report& report) {
  if (context.impl().source().directory() == nullptr) return;
  const Directory& directory = usable_directory_of(context);
  report.place = directory.root().string();
  for (const EntryInfo& info : list_entries(directory)) {
    if (info.summary) {
      report.entries.push_back(report_entry(info));
    } else {
      ++report.unreadable;
    }
  }
}

void collect_records(ListedSource source, Report& report) {
  if (!source.problem.empty()) {
    report.problems.push_back(
        fmt::format("read tuning records {}: {}", source.place, source.problem));
  }
  for (ListedRecord& listed : source.records) {
    report.records.push_back({std::move(listed.record), std::move(listed.place), {}});
  }
  for (ListedSkipped& skipped : source.skipped) {
    if (skipped.issue == RecordIssue::kDamaged) report.skipped.push_back(skipped);
    if (!skipped.record) continue;
    report.records.push_back(
        {std::move(*skipped.record), std::move(skipped.place), std::move(skipped.reason)});
  }
}

}  // namespace

Report collect_report(Context& context, const std::vector<std::string>& files) {
  Report report;
  collect_entries(context, report);
  for (ListedSource& source : list_tuning(context, files, OtherSources::kAll)) {
    collect_records(std::move(source), report);
  }
  return report;
}

}  // namespace jit::inline v1
