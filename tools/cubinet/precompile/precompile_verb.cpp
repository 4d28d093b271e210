// cubinet precompile [NAME...]
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <cstring>

#include "cubinet/precompile/farm_options.hpp"
#include "cubinet/precompile/precompile.hpp"
#include "cubinet/precompile/precompile_plan.hpp"
#include "cubinet/precompile/precompile_progress.hpp"
#include "cubinet/precompile/precompile_report.hpp"
#include "cubinet/precompile/shard.hpp"
#include "cubinet/precompile/stop_signals.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

constexpr int kDefaultLimit = 1000;

class PrecompileVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "precompile", "Compiles kernels into the cache; needs no GPU",
        "  cubinet precompile --all-presets --arch sm_90a\n"
        "  cubinet precompile merge_attn_states --preset bf16_d128 --arch sm_90a,sm_80\n"
        "  cubinet precompile merge_attn_states --set HEAD_SIZE=96 --set INPUT_TYPE=f16 -j 4\n"
        "  cubinet precompile merge_attn_states --all --set INPUT_TYPE=bf16 --set HEAD_SIZE=128\n"
        "  cubinet precompile --from recording.jsonl --arch sm_90a,sm_100a,sm_120a\n"
        "  cubinet precompile --all-presets --arch sm_90a --shard 2/8    the second of 8 machines\n"
        "\n"
        "Every bucket step of a preset, or of the constants given, is compiled; with --all every\n"
        "combination of constants, where what a static_assert refuses is counted and no failure.\n"
        "With --from every kernel that was recorded (CUBINET_RECORD), besides what is named.\n"
        "What is in the cache already is a hit, so that a run that was stopped goes on where it\n"
        "was. Farms and engines on one cache share the work: no kernel is compiled twice.\n"
        "Where tuning records choose differently for the devices of an architecture, what each of\n"
        "them would ask for is compiled; --device \"NVIDIA H200\" narrows it to one.\n"
        "\n"
        "A kernel that fails does not keep the others from being compiled. One whose worker\n"
        "process crashes, or is not done by --timeout, is tried once more, after the others, in\n"
        "a fresh process; one that memory ran out for, once more and alone; one whose worker was\n"
        "killed from outside, up to 15 times more. Then it is set aside and reported; the next\n"
        "run tries it again."};
  }

  void declare(Arguments& arguments) override {
    request_.words.declare(arguments, "Templates (with --all-presets: none means all)");
    arguments.add({"--preset", "A preset; may be repeated", "PRESET"}, request_.presets);
    arguments.add({"--all-presets", "Every preset", {}}, request_.all_presets);
    arguments.add(
        {"--all", "Every combination of constants; --set narrows it, again for more values", {}},
        request_.all);
    arguments.add({"--from", "A recording; may be repeated; - for stdin", "FILE"},
                  request_.recordings);
    arguments.add({"--limit", "Kernels that --all may come to (else 1000)", "N"}, limit_);
    arguments.add({"--arch", "Architectures (else those of the GPUs at hand)", "LIST"}, archs_);
    arguments.add({"--device", "What tuning records choose for this GPU alone (else for each)",
                   "NAME|ORDINAL"},
                  request_.device);
    arguments.add({"--shard", "The i-th of n parts of the list, the same on every machine", "i/n"},
                  shard_);
    farm_.declare(arguments);
    arguments.add({"--debug", "none, lineinfo or full", "KIND"}, debug_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    const auto begin = std::chrono::steady_clock::now();
    const FarmOptions options = farm_options();
    const Shard shard = parse_shard(shard_);
    if (limit_ <= 0) throw UsageError(fmt::format("--limit {}: expected 1 or more", limit_));
    request_.limit = static_cast<std::uint64_t>(limit_);
    request_.words.split();
    request_.archs = parse_archs(archs_);
    request_.debug = parse_debug(debug_);
    Plan plan = make_plan(context, request_);
    const std::vector<KernelJob> jobs = take_shard(std::move(plan.jobs), shard);
    PrecompileRun run = carry_out(context, jobs, options);
    run.lost = std::move(plan.lost);
    run.elapsed_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    report(run, context.verbose());
    return exit_code(run, shard);
  }

 private:
  FarmOptions farm_options() const {
    FarmOptions options = farm_.options();
    options.refusals = request_.all ? Refusals::kAsserts : Refusals::kNone;
    return options;
  }

  PrecompileRun carry_out(Context& context, const std::vector<KernelJob>& jobs,
                          const FarmOptions& options) const {
    Progress progress(jobs.size(), json_);
    Precompile precompile(context, jobs, progress);
    PrecompileRun run;
    run.outcomes = precompile.run(options);
    run.workers = precompile.workers();
    run.stopped_by = precompile.stopped_by();
    return run;
  }

  void report(const PrecompileRun& run, bool verbose) const {
    if (json_) {
      print(report_json(run, verbose).text());
    } else {
      print(report_text(run, verbose));
      explain_failures(run.outcomes, verbose);
      for (const std::string& line : run.lost) print_error(line);
    }
    if (run.stopped_by == 0) return;
    flush_output();
    const Totals totals = run.totals();
    print_note(
        fmt::format("stopped by signal {} ({}): {} of {} kernels are done; the same command "
                    "goes on from there",
                    run.stopped_by, ::strsignal(run.stopped_by),
                    run.outcomes.size() - totals.not_done, run.outcomes.size()));
  }

  static int exit_code(const PrecompileRun& run, const Shard& shard) {
    if (run.stopped_by != 0) return kStoppedBySignal + run.stopped_by;
    const Totals totals = run.totals();
    // Of a part nothing follows for the whole.
    const bool nothing =
        shard.count == 1 && totals.refused != 0 && totals.refused == run.outcomes.size();
    return totals.failed == 0 && !nothing && run.lost.empty() ? kFine : kFailedWork;
  }

  static void explain_failures(const std::vector<KernelOutcome>& outcomes, bool verbose) {
    flush_output();
    for (const KernelOutcome& outcome : outcomes) {
      const bool refused = outcome.state == KernelState::kRefused && verbose;
      if (outcome.state != KernelState::kFailed && !refused) continue;
      print_failure(outcome.error, refused ? "" : outcome.log, verbose);
    }
  }

  PlanRequest request_;
  std::vector<std::string> archs_;
  std::string shard_ = "1/1";
  FarmArguments farm_;
  std::string debug_ = "none";
  int limit_ = kDefaultLimit;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_precompile_verb() { return std::make_unique<PrecompileVerb>(); }

}  // namespace jit::inline v1
