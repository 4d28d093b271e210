#include "signature/tuning_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/file.hpp"
#include "base/hex.hpp"
#include "signature/manifest.hpp"
#include "signature/recorded_request.hpp"
#include "signature/tuning_record_text.hpp"
#include "signature/values.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;

// A folder that is not there, or cannot be read, has no records.
std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    if (entry->path().extension() == ".jsonl") files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<TuningLine> lines_of(const fs::path& file, std::string_view template_name) {
  const std::string source =
      fmt::format("{}/{}/{}", template_name, kTuningFolder, file.filename().string());
  int error = 0;
  const auto text = read_file(file, kMaxTuningFileBytes, &error);
  if (text) return parse_tuning_records(*text, source, RecordPart::kChoice);
  return {{source, std::nullopt, fmt::format("cannot be read: {}", error_text(error))}};
}

class Keeper {
 public:
  Keeper(const table::Template& tmpl, TableArena& arena) : tmpl_(tmpl), arena_(arena) {}

  table::TuningRecord keep(const TuningLine& line) const {
    table::TuningRecord kept;
    kept.place = arena_.keep(line.place);
    if (!line.record) {
      kept.problem = arena_.keep(line.why);
    } else if (line.record->name != tmpl_.name) {
      kept.problem = arena_.keep(fmt::format("is of template {}", line.record->name));
    } else {
      keep(*line.record, kept);
    }
    return kept;
  }

 private:
  void keep(const TuningRecord& record, table::TuningRecord& kept) const {
    kept.arch = arena_.keep(record.arch);
    kept.toolchain = arena_.keep(record.toolchain);
    kept.device = arena_.keep(record.device.name);
    kept.multiprocessors = record.device.multiprocessors;
    kept.memory_gib = record.device.memory_gib;
    // Any other text than a digest was refused as no record.
    static_cast<void>(from_hex(record.bundle, kept.bundle_sha256));
    kept.shape = constants(record.shape);
    kept.set = constants(record.set);
    std::vector<Constant> steps;
    for (const RecordedBucket& bucket : record.buckets) {
      steps.push_back({arena_.keep(bucket.name), Value(arena_.keep(bucket.step))});
    }
    kept.steps = arena_.keep(std::move(steps));
  }

  // The declaration's own values where it has them; what it has not is for who uses the record.
  std::span<const Constant> constants(std::span<const RecordedConstant> recorded) const {
    std::vector<Constant> constants;
    for (const RecordedConstant& constant : recorded) {
      constants.push_back({arena_.keep(constant.name), value(constant)});
    }
    return arena_.keep(std::move(constants));
  }

  Value value(const RecordedConstant& constant) const {
    const Value given = value_of(constant);
    if (const table::ConstantDecl* decl = find_constant(tmpl_, constant.name)) {
      if (const auto known = find_in_domain(*decl, given)) return *known;
    }
    return given.kind() == ValueKind::kText ? Value(arena_.keep(std::string(given.as_text())))
                                            : given;
  }

  const table::Template& tmpl_;
  TableArena& arena_;
};

}  // namespace

std::span<const table::TuningRecord> read_tuning_folder(const fs::path& folder,
                                                        const table::Template& tmpl,
                                                        TableArena& arena) {
  std::vector<TuningLine> lines;
  for (const fs::path& file : files_in(folder)) {
    for (TuningLine& line : lines_of(file, tmpl.name)) lines.push_back(std::move(line));
  }
  sort_newest_first(lines);
  const Keeper keeper(tmpl, arena);
  std::vector<table::TuningRecord> records;
  for (const TuningLine& line : lines) records.push_back(keeper.keep(line));
  return arena.keep(std::move(records));
}

}  // namespace jit::inline v1
