// cubinet record show FILE...
#include <fmt/format.h>

#include <map>

#include "cubinet/json.hpp"
#include "cubinet/record/recording_files.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/recording_replay.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

struct Counted {
  std::uint64_t requests = 0;
  std::uint64_t signatures = 0;  // distinct, after resolving
  std::uint64_t unknown = 0;     // requests
};

class RecordShowVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"record show", "Says what recordings hold and what today's templates make of it",
            "  cubinet record show recording.jsonl\n"
            "  cubinet record show --verbose recording.jsonl       # every signature\n"
            "  cubinet record show --json recording.jsonl | jq -r '.signatures[].signature'\n"
            "\n"
            "Requests that resolve to one signature are one kernel. UNKNOWN are those that the\n"
            "templates of this version do not know; each is named with its line."};
  }

  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "Recordings; - for stdin", {}}, files_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    if (files_.empty()) throw UsageError("record show: name a recording");
    const Recording recording = read_recordings(files_);
    const Replay replayed = replay(context.impl().templates(), recording);
    if (json_) {
      print(json_of(recording, replayed).text());
      return kFine;
    }
    if (context.verbose()) print_signatures(replayed);
    print_table(recording, replayed);
    flush_output();
    note_skipped_lines(recording);
    for (const UnknownRequest& unknown : replayed.unknown) print_note(text_of(unknown));
    return kFine;
  }

 private:
  static std::map<std::string, Counted> count(const Recording& recording, const Replay& replayed) {
    std::map<std::string, Counted> counts;
    for (const auto& [request, place] : recording.requests()) ++counts[request.name].requests;
    for (const ReplayedRequest& request : replayed.requests) {
      ++counts[std::string(request.signature.tmpl->name)].signatures;
    }
    for (const UnknownRequest& unknown : replayed.unknown) ++counts[unknown.name].unknown;
    return counts;
  }

  static void print_signatures(const Replay& replayed) {
    for (const ReplayedRequest& request : replayed.requests) {
      const std::string debug = request.debug == Debug::kNone
                                    ? std::string()
                                    : fmt::format("  --debug {}", name_of(request.debug));
      print(fmt::format("{}{}\n", request.signature.text(), debug));
    }
  }

  static void print_table(const Recording& recording, const Replay& replayed) {
    TextTable table({{"TEMPLATE"},
                     {"REQUESTS", Align::kRight},
                     {"SIGNATURES", Align::kRight},
                     {"UNKNOWN", Align::kRight}});
    for (const auto& [name, counted] : count(recording, replayed)) {
      table.add({name, std::to_string(counted.requests), std::to_string(counted.signatures),
                 std::to_string(counted.unknown)});
    }
    if (!table.empty()) print(table.text());
    print(fmt::format("{} requests, {} signatures, {} unknown, {} lines skipped\n",
                      recording.size(), replayed.requests.size(), replayed.unknown.size(),
                      recording.skipped().size()));
  }

  static Json json_of(const Recording& recording, const Replay& replayed) {
    Json templates = Json::object();
    for (const auto& [name, counted] : count(recording, replayed)) {
      templates.set(name, Json::object({{"requests", counted.requests},
                                        {"signatures", counted.signatures},
                                        {"unknown", counted.unknown}}));
    }
    const auto signature = [](const ReplayedRequest& request) {
      return Json::object({{"template", request.signature.tmpl->name},
                           {"signature", request.signature.text()},
                           {"debug", name_of(request.debug)},
                           {"place", request.place}});
    };
    const auto unknown = [](const UnknownRequest& request) {
      return Json::object(
          {{"template", request.name}, {"place", request.place}, {"error", request.error.what()}});
    };
    const auto skipped = [](const SkippedLine& line) {
      return Json::object({{"place", line.place}, {"reason", line.reason}});
    };
    return Json::object({{"requests", std::uint64_t{recording.size()}},
                         {"templates", std::move(templates)},
                         {"signatures", Json::array_of(replayed.requests, signature)},
                         {"unknown", Json::array_of(replayed.unknown, unknown)},
                         {"skipped", Json::array_of(recording.skipped(), skipped)}});
  }

  std::vector<std::string> files_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_record_show_verb() { return std::make_unique<RecordShowVerb>(); }

}  // namespace jit::inline v1
