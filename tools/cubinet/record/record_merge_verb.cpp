// cubinet record merge OUT IN...
#include <fmt/format.h>

#include <cerrno>

#include "base/file.hpp"
#include "cubinet/record/recording_files.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/line_file.hpp"

namespace jit::inline v1 {
namespace {

class RecordMergeVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"record merge", "Merges recordings into one, sorted, every request once",
            "  CUBINET_RECORD=recording.jsonl ./engine        # records what it asks for\n"
            "  cubinet record merge all.jsonl node0.jsonl node1.jsonl\n"
            "  cubinet record merge recording.jsonl recording.jsonl   # tidies it, also in use\n"
            "  ssh node cat recording.jsonl | cubinet record merge - - > here.jsonl\n"
            "\n"
            "The same requests give the same bytes, in whatever order they come. A line that is\n"
            "torn or foreign is named and left out; the exit code is then 1."};
  }

  void declare(Arguments& arguments) override {
    arguments.add({"OUT", "The file that is written, in one step; - for stdout", {}}, out_);
    arguments.add({"IN", "Recordings; - for stdin", {}}, in_);
  }

  int run(Context&) override {
    if (out_.empty() || in_.empty()) {
      throw UsageError("record merge: name the file to write and those to read");
    }
    // What processes append to OUT from here on waits, and goes to the new file.
    const UniqueFd held = hold_line_file(out_);
    const Recording recording = read_recordings(in_);
    note_skipped_lines(recording);
    write(recording.text());
    print_note(fmt::format("{} requests from {} recordings", recording.size(), in_.size()));
    return recording.skipped().empty() ? kFine : kFailedWork;
  }

 private:
  void write(const std::string& text) const {
    if (out_ == "-") return print(text);
    if (const int error = replace_file(out_, text, 0644); error != 0) {
      const std::string why =
          error == EINVAL ? "it is no regular file; - is stdout" : error_text(error);
      throw Error(ErrorCode::kIo, fmt::format("write recording {}: {}", out_, why));
    }
  }

  std::string out_;
  std::vector<std::string> in_;
};

}  // namespace

std::unique_ptr<Verb> make_record_merge_verb() { return std::make_unique<RecordMergeVerb>(); }

}  // namespace jit::inline v1
