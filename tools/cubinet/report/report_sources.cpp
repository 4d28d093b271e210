#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/file.hpp"
#include "cache/inspection.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/report/report.hpp"
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

// Takes sources in the order in which they count.
class RecordCollector {
 public:
  RecordCollector(Runtime::Impl& impl, Report& report) : report_(report) {
    for (const table::Template* tmpl : impl.templates().all()) by_name_[tmpl->name] = tmpl;
  }

  void take(std::vector<TuningLine> lines) {
    sort_newest_first(lines);
    for (const TuningLine& line : lines) {
      if (line.record) found_.push_back({*line.record, line.place, {}});
    }
    table_.add(std::move(lines), [&](std::string_view name) {
      const auto found = by_name_.find(name);
      return found == by_name_.end() ? nullptr : found->second;
    });
  }

  // A file that is to be there. Returns: why it cannot be read; empty if it was.
  std::string take_file(const std::filesystem::path& file) {
    int error = 0;
    const auto text = read_file(file, kMaxTuningFileBytes, &error);
    if (!text) return fmt::format("read tuning records {}: {}", file.string(), error_text(error));
    take(parse_tuning_records(*text, file.string()));
    return {};
  }

  void note(std::string problem) {
    if (!problem.empty()) report_.problems.push_back(std::move(problem));
  }

  void take_pack(const Pack& pack) {
    std::string why;
    const auto text = pack.tuning(&why);
    if (text) {
      take(parse_tuning_records(*text, pack.path().string()));
    } else if (!why.empty()) {
      note(fmt::format("read tuning records {}: {}", pack.path().string(), why));
    }
  }

  void take_templates() {
    for (const auto& [name, tmpl] : by_name_) {
      for (const table::TuningRecord& shipped : tmpl->tuning_records) {
        if (shipped.problem.empty()) {
          found_.push_back({make_tuning_record(*tmpl, shipped), std::string(shipped.place), {}});
        }
        table_.add(*tmpl, shipped);
      }
    }
  }

  void finish() {
    std::map<std::string, const SkippedRecord*> skipped;
    for (const SkippedRecord& record : table_.skipped()) {
      skipped[record.place] = &record;
      if (record.issue == RecordIssue::kDamaged) report_.skipped.push_back(record);
    }
    for (PlacedRecord& placed : found_) {
      const auto found = skipped.find(placed.place);
      if (found != skipped.end()) {
        if (found->second->issue == RecordIssue::kReplaced) continue;
        placed.unused = found->second->reason;
      }
      report_.records.push_back(std::move(placed));
    }
  }

 private:
  Report& report_;
  std::map<std::string_view, const table::Template*> by_name_;
  std::vector<PlacedRecord> found_;
  TuningTable table_;
};

void collect_records(Context& context, const std::vector<std::string>& files, Report& report) {
  const ArtifactSource& source = context.impl().source();
  RecordCollector collector(context.impl(), report);
  for (const std::string& file : files) {
    const std::string problem = collector.take_file(file);
    if (!problem.empty()) throw Error(ErrorCode::kIo, problem);
  }
  if (const Directory* directory = source.directory()) {
    const auto file = directory->root() / "tuning.jsonl";
    std::error_code error;
    if (std::filesystem::exists(file, error)) collector.note(collector.take_file(file));
  }
  for (const auto& file : context.impl().options().tuning_files) {
    collector.note(collector.take_file(file));
  }
  for (std::size_t tier = 0; tier < source.tiers().size(); ++tier) {
    if (const Pack* pack = source.tiers().pack(tier)) collector.take_pack(*pack);
  }
  collector.take_templates();
  collector.finish();
}

}  // namespace

Report collect_report(Context& context, const std::vector<std::string>& files) {
  Report report;
  collect_entries(context, report);
  collect_records(context, files, report);
  return report;
}

}  // namespace jit::inline v1
