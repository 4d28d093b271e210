// cubinet report [FILE...]
#include <fmt/format.h>

#include "cubinet/report/figures.hpp"
#include "cubinet/report/page.hpp"
#include "cubinet/report/report.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class ReportVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "report", "Shows what a cache holds and what was tuned, as text or as a page",
        "  cubinet report\n"
        "  cubinet report --html report.html\n"
        "  cubinet report kernel_templates/merge_attn_states/tuning/*.jsonl --html tuning.html\n"
        "  cubinet report --json | jq '.records[] | {template, buckets, set}'\n"
        "\n"
        "Kernels by template, with registers, spills, shared memory, occupancy, compile time\n"
        "and size; and every tuning record: of the files named, of the cache, of\n"
        "CUBINET_TUNING_FILES, of packs and of the templates. The page is one file that loads\n"
        "nothing: heat maps over the tunables, spread, noise, clocks, every variant and its\n"
        "reason. Records that ship with a template or were packed have no evidence; the file\n"
        "that they come from has."};
  }
  void declare(Arguments& arguments) override {
    arguments.add(
        {"FILE", "Files of tuning records, which count before all others; - for stdin", {}},
        files_);
    arguments.add({"--html", "Write a page of pictures; - is stdout", "FILE"}, html_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    context.only_look();
    const Report report = collect_report(context, files_);
    if (!html_.empty()) write_page(html_, report_page(report));
    if (html_ == "-") return kFine;
    if (json_) {
      print(report_json(report).text());
    } else if (html_.empty()) {
      print(report_text(report));
    } else {
      print(fmt::format("{}: {}, {}\n", html_, count_text(report.entries.size(), "kernel"),
                        count_text(report.records.size(), "tuning record")));
    }
    return kFine;
  }

 private:
  std::vector<std::string> files_;
  std::string html_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_report_verb() { return std::make_unique<ReportVerb>(); }

}  // namespace jit::inline v1
