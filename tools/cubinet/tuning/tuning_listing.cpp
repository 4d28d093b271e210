#include "cubinet/tuning/tuning_listing.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <tuple>
#include <utility>

#include "base/file.hpp"
#include "runtime/runtime_impl.hpp"
#include "runtime/tuning_sources.hpp"

namespace jit::inline v1 {
namespace {

[[noreturn]] void refuse(const std::string& file, std::string_view reason) {
  throw Error(ErrorCode::kIo,
              fmt::format("read tuning records {}: {}; give a file that cubinet tune or cubinet "
                          "tuning merge wrote",
                          file, reason));
}

std::string too_long() {
  return fmt::format("it is longer than {} MiB", kMaxTuningFileBytes >> 20);
}

std::string read_stdin() {
  std::string text(kMaxTuningFileBytes + 1, '\0');
  const ssize_t count =
      read_fully(STDIN_FILENO, {reinterpret_cast<std::byte*>(text.data()), text.size()});
  if (count < 0) refuse("stdin", error_text(errno));
  if (static_cast<std::size_t>(count) > kMaxTuningFileBytes) refuse("stdin", too_long());
  text.resize(static_cast<std::size_t>(count));
  return text;
}

// "t.jsonl:9" before "t.jsonl:10".
auto order_of(const std::string& place) { return std::tuple(place.size(), place); }

template <class T>
void sort_by_place(std::vector<T>& items) {
  std::stable_sort(items.begin(), items.end(),
                   [](const T& a, const T& b) { return order_of(a.place) < order_of(b.place); });
}

// Fills a table source by source, and tells for each which of its records went in.
class Listing {
 public:
  explicit Listing(Context& context) : templates_(context.impl().templates()) {}

  void add(std::string kind, std::string place, std::string problem,
           std::vector<TuningLine> lines) {
    sources_.push_back({std::move(kind), std::move(place), std::move(problem), {}, {}});
    sort_newest_first(lines);
    for (TuningLine& line : lines) add(line);
    sort_by_place(sources_.back().records);
    sort_by_place(sources_.back().skipped);
  }

  void add_shipped() {
    for (const table::Template* tmpl : templates_.all()) {
      if (tmpl->tuning_records.empty()) continue;
      sources_.push_back({"template", std::string(tmpl->name), {}, {}, {}});
      for (const table::TuningRecord& record : tmpl->tuning_records) {
        const std::size_t skipped = table_.skipped().size();
        table_.add(*tmpl, record);
        note(skipped, std::string(record.place), [&] { return make_tuning_record(*tmpl, record); });
      }
    }
  }

  std::vector<ListedSource> take() { return std::move(sources_); }

 private:
  void add(TuningLine& line) {
    if (!line.record) return skip({line.place, {}, RecordIssue::kDamaged, line.why});
    const table::Template* tmpl = nullptr;
    try {
      tmpl = &templates_.find(line.record->name);
    } catch (const Error& error) {
      SkippedRecord foreign{line.place, line.record->name, RecordIssue::kOtherTemplate,
                            error.what()};
      return skip(std::move(foreign), std::move(line.record));
    }
    const std::size_t skipped = table_.skipped().size();
    table_.add(*tmpl, *line.record, line.place);
    note(skipped, line.place, [&] { return std::move(*line.record); });
  }

  void skip(SkippedRecord skipped, std::optional<TuningRecord> record = std::nullopt) {
    sources_.back().skipped.push_back({std::move(skipped), std::move(record)});
  }

  // What became of the record that was added when so many were skipped.
  template <class Make>
  void note(std::size_t skipped, const std::string& place, const Make& make) {
    if (table_.skipped().size() > skipped) {
      const SkippedRecord& last = table_.skipped().back();
      const bool is_record =
          last.issue != RecordIssue::kReplaced && last.issue != RecordIssue::kDamaged;
      if (last.place == place && is_record) return skip(last, make());
      if (last.place == place) return skip(last);
      withdraw(last);  // it gave way to this one
    }
    sources_.back().records.push_back({place, make()});
  }

  void withdraw(const SkippedRecord& record) {
    for (ListedSource& source : sources_) {
      const auto gone = std::erase_if(
          source.records, [&](const ListedRecord& listed) { return listed.place == record.place; });
      if (gone == 0) continue;
      source.skipped.push_back({record, std::nullopt});
      sort_by_place(source.skipped);
    }
  }

  TemplateRegistry& templates_;
  TuningTable table_;
  std::vector<ListedSource> sources_;
};

// In the order in which a process with this environment reads them.
void add_all(Listing& listing, Context& context, bool packs) {
  const auto add = [&](TuningSource source) {
    listing.add(std::string(name_of(source.kind)), source.place.string(), std::move(source.problem),
                std::move(source.lines));
  };
  const ArtifactSource& source = context.impl().source();
  const auto add_directory = [&] {
    if (const Directory* directory = source.directory()) {
      add(read_directory_records(*directory, RecordPart::kWhole));
    }
  };
  const auto add_packs = [&] {
    for (std::size_t tier = 0; packs && tier < source.tiers().size(); ++tier) {
      const Pack* const pack = source.tiers().pack(tier);
      if (pack == nullptr) continue;
      TuningSource packed = read_pack_records(*pack, RecordPart::kWhole);
      if (packed.problem.empty()) packed.problem = pack->state().why;
      add(std::move(packed));
    }
  };
  const bool packs_first = packs_count_first(context.options().mode);
  if (packs_first) add_packs();
  else add_directory();
  for (const std::filesystem::path& file : source.options().tuning_files) {
    add(read_record_file(file, RecordPart::kWhole));
  }
  if (!packs_first) add_packs();
  listing.add_shipped();
  if (packs_first) add_directory();
}

}  // namespace

std::vector<ListedSource> list_tuning(Context& context, const std::vector<std::string>& files,
                                      OtherSources others) {
  Listing listing(context);
  for (const std::string& file : files) listing.add("file", file, {}, read_tuning_file(file));
  if (others != OtherSources::kNone) add_all(listing, context, others == OtherSources::kAll);
  return listing.take();
}

std::vector<TuningLine> read_tuning_file(const std::string& file) {
  if (file == "-") return parse_tuning_records(read_stdin(), "stdin");
  int error = 0;
  const auto text = read_file(file, kMaxTuningFileBytes, &error);
  if (text) return parse_tuning_records(*text, file);
  if (error == EFBIG) refuse(file, too_long());
  refuse(file, error == EINVAL ? "it is no regular file" : error_text(error));
}

}  // namespace jit::inline v1
