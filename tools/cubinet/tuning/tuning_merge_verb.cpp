// cubinet tuning merge --output FILE FILE...
#include <fmt/format.h>

#include <cerrno>

#include "base/file.hpp"
#include "cubinet/report/figures.hpp"
#include "cubinet/text.hpp"
#include "cubinet/tuning/tuning_listing.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/line_file.hpp"

namespace jit::inline v1 {
namespace {

class TuningMergeVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"tuning merge", "Merges files of tuning records into one, sorted, the best of each",
            "  cubinet tuning merge --output h200.jsonl node0.jsonl node1.jsonl\n"
            "  cubinet tuning merge --output my_templates/my_kernel/tuning/h200.jsonl h200.jsonl\n"
            "  cubinet tuning merge --output small.jsonl --without-evidence h200.jsonl\n"
            "  ssh node cat tuning.jsonl | cubinet tuning merge - > here.jsonl\n"
            "\n"
            "Of several records for the same shape, buckets, device, compiler and device code a\n"
            "complete one is kept, of these the newest. The same records give the same bytes, in\n"
            "whatever order they come. A line that is torn or foreign is named and left out; the\n"
            "exit code is then 1."};
  }

  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "Files of tuning records; - for stdin", {}}, files_);
    arguments.add({"--output", "The file that is written, in one step; - for stdout", "FILE"},
                  output_);
    arguments.add({"--without-evidence",
                   "Keep what was chosen and leave out what was measured; pictures need it",
                   {}},
                  without_evidence_);
  }

  int run(Context&) override {
    if (files_.empty() || output_.empty()) {
      throw UsageError("tuning merge: name the files to read; - is stdin");
    }
    // What processes append to the file from here on waits, and goes to the new one.
    const UniqueFd held = output_ == "-" ? UniqueFd() : hold_line_file(output_);
    const std::vector<TuningRecord> merged = merge_tuning_records(read());
    std::string text;
    for (const TuningRecord& record : merged) {
      text += (without_evidence_ ? without_evidence(record) : record).text() + "\n";
    }
    write(text);
    print_note(fmt::format("{} from {}", count_text(merged.size(), "tuning record"),
                           count_text(files_.size(), "file")));
    return skipped_ == 0 ? kFine : kFailedWork;
  }

 private:
  std::vector<TuningRecord> read() {
    std::vector<TuningRecord> records;
    for (const std::string& file : files_) {
      for (TuningLine& line : read_tuning_file(file)) {
        if (!line.why.empty()) {
          print_note(fmt::format("read tuning records {}: {}: {}", line.place,
                                 line.record ? "without its evidence" : "the line is skipped",
                                 line.why));
          ++skipped_;
        }
        if (line.record) records.push_back(std::move(*line.record));
      }
    }
    return records;
  }

  void write(const std::string& text) const {
    if (output_ == "-") return print(text);
    // Others read it, and it may be committed.
    if (const int error = replace_file(output_, text, 0644); error != 0) {
      const std::string why =
          error == EINVAL ? "it is no regular file; - is stdout" : error_text(error);
      throw Error(ErrorCode::kIo, fmt::format("write tuning records {}: {}", output_, why));
    }
  }

  std::vector<std::string> files_;
  std::string output_ = "-";
  bool without_evidence_ = false;
  std::size_t skipped_ = 0;
};

}  // namespace

std::unique_ptr<Verb> make_tuning_merge_verb() { return std::make_unique<TuningMergeVerb>(); }

}  // namespace jit::inline v1
