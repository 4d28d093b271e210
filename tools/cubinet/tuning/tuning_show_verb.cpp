// cubinet tuning show [FILE...]
#include <fmt/format.h>

#include "cubinet/text.hpp"
#include "cubinet/tuning/tuning_listing.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class TuningShowVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "tuning show", "Lists tuning records, and says of those that do not count why not",
        "  cubinet tuning show                   all that a process here reads, in the order\n"
        "                                        in which they count\n"
        "  cubinet tuning show h200.jsonl        of files alone; - for stdin\n"
        "  cubinet tuning show --json | jq -r '.sources[].skipped[].issue' | sort | uniq -c\n"
        "\n"
        "Read are tuning.jsonl in the cache directory, CUBINET_TUNING_FILES, CUBINET_PACKS and\n"
        "what ships with the templates. SPEEDUP is over the untuned choice, where the record\n"
        "says so. cubinet explain tells which record a request follows."};
  }

  void declare(Arguments& arguments) override {
    arguments.add({"FILE", "Files of tuning records, if not all there are", {}}, files_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    context.only_look();
    const std::vector<ListedSource> sources =
        list_tuning(context, files_, files_.empty() ? OtherSources::kAll : OtherSources::kNone);
    if (json_) {
      print(Json::object({{"sources", Json::array_of(sources, source_json)}}).text());
      return kFine;
    }
    std::size_t records = 0;
    std::size_t skipped = 0;
    for (const ListedSource& source : sources) {
      records += source.records.size();
      skipped += source.skipped.size();
      const bool says_something = !source.records.empty() || !source.skipped.empty();
      if (says_something || !source.problem.empty()) print(source_text(source) + "\n");
    }
    print(fmt::format("{} tuning records, {} skipped\n", records, skipped));
    if (records == 0) print_note("tune with: cubinet tune NAME; see its --help");
    return kFine;
  }

 private:
  std::vector<std::string> files_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_tuning_show_verb() { return std::make_unique<TuningShowVerb>(); }

}  // namespace jit::inline v1
