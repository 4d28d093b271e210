#include "runtime/tuning_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "signature/values.hpp"
#include "tune/space.hpp"

namespace jit::inline v1 {
namespace {

constexpr const char* kHere = "this process";

// Templates are told apart by their addresses: they live as long as the Runtime.
std::string text_of(const TuningSubject& subject) {
  std::string text = fmt::format("{}#{}", static_cast<const void*>(&subject.tmpl), subject.model);
  for (std::size_t i = 0; i < subject.tmpl.buckets.size(); ++i) {
    text += fmt::format("#{}", subject.steps[i]);
  }
  for (std::size_t i = 0; i < subject.tmpl.constants.size(); ++i) {
    if (subject.tmpl.constants[i].role != table::Role::kShape) continue;
    text += '#' + format_value(subject.values[i]);
  }
  for (const table::ConstantDecl& decl : subject.tmpl.constants) {
    if (decl.role != table::Role::kTunable) continue;
    const auto given =
        std::find_if(subject.pinned.begin(), subject.pinned.end(),
                     [&](const Constant& constant) { return constant.name == decl.name; });
    text += given == subject.pinned.end() ? "#" : "#" + format_value(given->value);
  }
  return text;
}

std::size_t count_damaged(const TuningSource& source) {
  return static_cast<std::size_t>(
      std::count_if(source.lines.begin(), source.lines.end(),
                    [](const TuningLine& line) { return !line.record; }));
}

}  // namespace

TuningStore::TuningStore(const RuntimeOptions& options, const Directory* directory,
                         const Tiers& tiers, Logger logger)
    : options_(options),
      mode_(options.mode),
      directory_(directory),
      tiers_(tiers),
      logger_(std::move(logger)) {
  // A later chdir shall not choose others.
  for (const std::filesystem::path& file : options_.tuning_files) {
    std::error_code error;
    const std::filesystem::path absolute = std::filesystem::absolute(file, error);
    files_.push_back(error ? file : absolute);
  }
  if (directory_ != nullptr) file_.emplace(directory_->root() / kTuningFile, kTuningForm);
  join();
}

TuningStore::~TuningStore() { leave(); }

bool TuningStore::chooses(const table::Template& tmpl, std::span<const Constant> given) const {
  if (options_.tuning == Tuning::kOff) return false;
  const auto tuned = tuned_constants(tmpl);
  return std::any_of(tuned.begin(), tuned.end(), [&](const table::ConstantDecl* decl) {
    return std::none_of(given.begin(), given.end(),
                        [&](const Constant& constant) { return constant.name == decl->name; });
  });
}

void TuningStore::read_locked() {
  if (std::exchange(read_, true)) return;
  const bool packs_first = packs_count_first(mode_);
  const auto take_directory = [&] {
    if (directory_ == nullptr) return;
    take_locked(read_directory_records(*directory_, RecordPart::kChoice));
  };
  if (packs_first) take_packs_locked();
  else take_directory();
  for (const std::filesystem::path& file : files_) {
    take_locked(read_record_file(file, RecordPart::kChoice));
  }
  if (packs_first) take_directory();
  else take_packs_locked();
}

void TuningStore::take_packs_locked() {
  for (std::size_t tier = 0; tier < tiers_.size(); ++tier) {
    const Pack* const pack = tiers_.pack(tier);
    if (pack != nullptr) take_locked(read_pack_records(*pack, RecordPart::kChoice));
  }
}

void TuningStore::take_locked(TuningSource source) {
  const std::string place = source.place.native();
  // A directory or a pack that cannot be used says so itself.
  const bool is_told = source.kind == TuningSourceKind::kPack ||
                       (source.kind == TuningSourceKind::kDirectory && !directory_->usable());
  if (!source.problem.empty() && !is_told) {
    logger_.warn_once(
        "tuning records " + place,
        fmt::format("read tuning records in {}: {}; going on without them", place, source.problem));
  }
  if (const std::size_t damaged = count_damaged(source)) {
    // Lines without a record are last.
    const TuningLine& first = source.lines[source.lines.size() - damaged];
    logger_.warn_once("damaged tuning records " + place,
                      fmt::format("read tuning records in {}: {} of {} lines are skipped; {}: {}",
                                  place, damaged, source.lines.size(), first.place, first.why));
  }
  sources_.push_back(std::move(source));
}

const TuningTable& TuningStore::table(const table::Template& tmpl) {
  const std::lock_guard lock(mutex_);
  return table_locked(tmpl);
}

const TuningTable& TuningStore::table_locked(const table::Template& tmpl) {
  const TuningTable*& current = current_[&tmpl];
  if (current != nullptr) return *current;
  read_locked();
  TuningTable& made = tables_.emplace_back();
  const auto add = [&](const TuningSource& source) {
    for (const TuningLine& line : source.lines) {
      if (line.record && line.record->name == tmpl.name) made.add(tmpl, *line.record, line.place);
    }
  };
  add(own_);
  const auto is_last = [&](const TuningSource& source) {
    return packs_count_first(mode_) && source.kind == TuningSourceKind::kDirectory;
  };
  for (const TuningSource& source : sources_) {
    if (!is_last(source)) add(source);
  }
  for (const table::TuningRecord& record : tmpl.tuning_records) made.add(tmpl, record);
  for (const TuningSource& source : sources_) {
    if (is_last(source)) add(source);
  }
  for (const SkippedRecord& skipped : made.skipped()) {
    logger_.info(fmt::format("pass over tuning record {}: {}", skipped.place, skipped.reason));
  }
  return *(current = &made);
}

std::optional<TunedChoice> TuningStore::choose(const TuningSubject& subject,
                                               const MakeTarget& target) {
  const std::string text = text_of(subject);
  {
    const std::lock_guard lock(mutex_);
    const auto known = decided_.find(text);
    if (known != decided_.end()) return known->second;
  }
  const TuningTable& records = table(subject.tmpl);
  std::optional<TunedChoice> choice;
  if (records.size() != 0) {
    choice = records.choose(subject.tmpl, subject.values, subject.pinned, subject.steps, target());
  }
  const std::lock_guard lock(mutex_);
  return decided_.emplace(text, choice).first->second;
}

bool TuningStore::is_decided(const TuningSubject& subject) {
  const std::string text = text_of(subject);
  const std::lock_guard lock(mutex_);
  return decided_.contains(text);
}

std::string TuningStore::keep(const TuningRecord& record) {
  const std::string line = record.text();
  const std::lock_guard lock(mutex_);
  const std::string place = file_ ? file_->path().native() : kHere;
  own_.lines.insert(own_.lines.begin(), TuningLine{place, without_evidence(record), {}});
  current_.clear();
  if (!file_) return "the cache is in memory only";
  return append_directory_record(*directory_, *file_, line);
}

void TuningStore::refresh() {
  if (directory_ == nullptr) return;
  TuningSource fresh = read_directory_records(*directory_, RecordPart::kChoice);
  const std::lock_guard lock(mutex_);
  if (!read_ || !fresh.problem.empty()) return;
  const auto known =
      std::find_if(sources_.begin(), sources_.end(),
                   [&](const TuningSource& source) { return source.kind == fresh.kind; });
  *known = std::move(fresh);
  current_.clear();
}

std::vector<SkippedRecord> TuningStore::damaged() {
  const std::lock_guard lock(mutex_);
  read_locked();
  std::vector<SkippedRecord> skipped;
  for (const TuningSource& source : sources_) {
    for (const TuningLine& line : source.lines) {
      if (!line.record) skipped.push_back({line.place, {}, RecordIssue::kDamaged, line.why});
    }
  }
  return skipped;
}

}  // namespace jit::inline v1
