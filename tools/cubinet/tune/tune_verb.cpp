// cubinet tune NAME
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <span>

#include "base/quantity.hpp"
#include "cubinet/precompile/farm_options.hpp"
#include "cubinet/precompile/precompile_plan.hpp"
#include "cubinet/precompile/stop_signals.hpp"
#include "cubinet/report/page.hpp"
#include "cubinet/report/tuning_page.hpp"
#include "cubinet/request.hpp"
#include "cubinet/text.hpp"
#include "cubinet/tune/measured_text.hpp"
#include "cubinet/tune/record_output.hpp"
#include "cubinet/tune/static_text.hpp"
#include "cubinet/tune/static_tuning.hpp"
#include "cubinet/tune/tuning_plan.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/runtime_impl.hpp"
#include "runtime/tuning_problems.hpp"
#include "tune/space.hpp"

namespace jit::inline v1 {
namespace {

constexpr int kNotGiven = std::numeric_limits<int>::min();

class TuneVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "tune", "Finds the fastest tunables of a template, ahead of time",
        "  cubinet tune merge_attn_states --preset bf16_d128_fp8 --static --arch sm_90a,sm_100a\n"
        "  cubinet tune merge_attn_states --preset bf16_d128_fp8 --budget 60s\n"
        "  cubinet tune merge_attn_states --set HEAD_SIZE=96 --set INPUT_TYPE=f16 --html "
        "tuning.html\n"
        "  cubinet tune merge_attn_states --all-presets --budget 10s --output h200.jsonl\n"
        "\n"
        "The static stage compiles every combination of the tunables' candidates in worker\n"
        "processes, needs no GPU, and ranks them by what the compiler says: registers, spills,\n"
        "serialised wgmma (C75xx), shared memory, occupancy. A candidate that does not compile is\n"
        "a result, not a failure; none is compiled twice. --static ends there.\n"
        "\n"
        "The measured stage checks what is left against the template's reference and times it on\n"
        "the GPU, at each of the manifest's representative sizes, until the fastest is known with\n"
        "confidence. The choice is kept in the cache as a tuning record, one per bucket step and\n"
        "model of GPU; from then on every process resolves requests by it, and tunes nothing."};
  }

  void declare(Arguments& arguments) override {
    words_.declare(arguments, "The template");
    arguments.add({"--preset", "A preset; may be repeated", "PRESET"}, presets_);
    arguments.add({"--all-presets", "Every preset", {}}, all_presets_);
    arguments.add({"--static", "Only what needs no GPU", {}}, static_);
    arguments.add(
        {"--arch", "With --static: architectures (else those of the GPUs at hand)", "LIST"},
        archs_);
    arguments.add({"--device", "The GPU to time on (else 0)", "N"}, device_);
    arguments.add({"--budget", "Time on the GPU for each preset (else 60s)", "DURATION"}, budget_);
    arguments.add({"--seed", "Of the random inputs (else a fresh one)", "N"}, seed_);
    arguments.add({"--exhaustive", "Time every variant to the end, to judge the tuner", {}},
                  exhaustive_);
    arguments.add({"--output", "Merge the records into a file too", "FILE"}, output_);
    arguments.add({"--html", "Write a page of all that was seen", "FILE"}, html_);
    farm_.declare(arguments);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    words_.split();
    if (words_.names.size() != 1) throw UsageError("tune: expected the name of one template");
    const FarmOptions farm = farm_.options();
    const TuneOptions options = tune_options();
    expect_outputs();
    const table::Template& tmpl = context.impl().templates().find(words_.names.front());
    const std::vector<TuningShape> shapes = shapes_for(tmpl);
    static_cast<void>(variants_of(tmpl));
    const std::vector<Arch> archs =
        static_ ? archs_for(context, tmpl, parse_archs(archs_))
                : std::vector{arch_to_measure(context, tmpl, options.device)};
    for (const Arch arch : archs) note_other_choice(tmpl, arch);
    const StaticRun run = run_static_stage(context, tasks_of(tmpl, shapes, archs), farm, json_);
    if (static_ || run.unknown != 0) {
      const int code = finish_static(run, context.verbose());
      return std::max(code, told(context, [&] { write_html(tmpl, run.records); }));
    }
    return measure(context, tmpl, shapes, options, run);
  }

 private:
  // What could not be written is told before minutes are spent on it.
  void expect_outputs() const {
    if (!html_.empty() && html_ != "-") expect_page_can_be_written(html_);
    if (!output_.empty()) check_record_output(output_);
  }

  void refuse_if_static(bool given, const char* option) const {
    if (!static_ || !given) return;
    throw UsageError(fmt::format("{} is of the measured stage; leave --static out", option));
  }

  static int count_or_0(const char* option, int value) {
    if (value == kNotGiven) return 0;
    if (value < 0) throw UsageError(fmt::format("{} {}: expected 0 or more", option, value));
    return value;
  }

  TuneOptions tune_options() const {
    if (!static_ && !archs_.empty()) {
      throw UsageError("--arch is of --static; what is measured is compiled for the GPU at hand");
    }
    refuse_if_static(!output_.empty(), "--output");
    refuse_if_static(device_ != kNotGiven, "--device");
    refuse_if_static(!budget_.empty(), "--budget");
    refuse_if_static(seed_ != kNotGiven, "--seed");
    refuse_if_static(exhaustive_, "--exhaustive");
    if (output_ == "-") {
      throw UsageError("--output: expected a file; --json prints the records, too");
    }
    if (html_ == "-" && json_) throw UsageError("--html - and --json both write to stdout");
    const auto budget = parse_duration(budget_.empty() ? "60s" : budget_);
    if (!budget || budget->count() == 0) {
      throw UsageError(fmt::format("--budget {}: expected a duration such as 60s or 5m", budget_));
    }
    TuneOptions options;
    options.device = count_or_0("--device", device_);
    options.budget = *budget;
    options.seed = static_cast<std::uint64_t>(count_or_0("--seed", seed_));
    options.exhaustive = exhaustive_;
    if (!json_) options.progress = [](std::string_view line) { print_note(line); };
    return options;
  }

  std::vector<TuningShape> shapes_for(const table::Template& tmpl) const {
    std::vector<const table::Preset*> presets;
    for (const std::string& name : presets_) presets.push_back(&preset_of(tmpl, name));
    if (all_presets_) {
      for (const table::Preset& preset : tmpl.presets) presets.push_back(&preset);
    }
    if (presets.empty()) presets.push_back(nullptr);
    return shapes_of(tmpl, presets, words_);
  }

  // Errors: what makes measuring impossible, before anything is compiled for it.
  static Arch arch_to_measure(Context& context, const table::Template& tmpl, int device) {
    Runtime::Impl& impl = context.impl();
    ComputeCapability capability;
    try {
      capability = impl.devices().driver().device(device).capability;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNoDriver) throw;
      throw Error(ErrorCode::kNoDriver,
                  fmt::format("tune {}: no GPU at hand ({}); without one, --static --arch sm_90a "
                              "ranks the variants by what the compiler says",
                              tmpl.name, error.what()));
    }
    if (!has_tuning_problem(tmpl.name)) {
      throw UsageError(fmt::format(
          "tune {}: this command does not know how to launch and check it; call Runtime::tune in "
          "a program that says so with jit::set_tuning_problem, or use --static",
          tmpl.name));
    }
    const auto location = impl.source().toolchain(impl.devices().driver_release());
    std::optional<CompilerRelease> release;
    if (location) release = location->id.release;
    return choose_arch(tmpl.target, capability, release);
  }

  int measure(Context& context, const table::Template& tmpl, const std::vector<TuningShape>& shapes,
              const TuneOptions& options, const StaticRun& run) const {
    std::vector<TuningRecord> records;
    int code = kFine;
    for (const TuningShape& shape : shapes) {
      code = std::max(code, told(context, [&] {
                        const auto made =
                            context.runtime().tune(tmpl.name, shape.constants, options);
                        records.insert(records.end(), made.begin(), made.end());
                        // Now, so that it is there whatever becomes of the others.
                        if (!output_.empty()) merge_into(output_, made);
                      }));
    }
    if (json_) {
      const auto make = [](const TuningRecord& record) { return Json::parse(record.text()); };
      print(static_json(run).set("records", Json::array_of(records, make)).text());
    } else if (html_ != "-") {
      print(measured_text(records));
    }
    flush_output();
    if (records.empty()) return code;
    return std::max(code, told(context, [&] { write_html(tmpl, records); }));
  }

  // Returns: the exit code. What fails does not take what else was found with it.
  template <class Work>
  static int told(const Context& context, const Work& work) {
    try {
      work();
    } catch (const Error& error) {
      print_failure(error.what(), error.log(), context.verbose());
      return kFailedWork;
    }
    return kFine;
  }

  void write_html(const table::Template& tmpl, std::span<const TuningRecord> records) const {
    if (html_.empty()) return;
    std::vector<PlacedRecord> placed;
    for (const TuningRecord& record : records) placed.push_back({record, {}});
    write_page(html_, tuning_page(fmt::format("Tuning of {}", tmpl.name), placed));
  }

  int finish_static(const StaticRun& run, bool verbose) const {
    if (json_) print(static_json(run).text());
    else if (html_ != "-") print(static_text(run.records) + "\n" + farm_line(run));
    flush_output();
    for (const KernelOutcome& outcome : run.farm.outcomes) {
      if (outcome.state == KernelState::kFailed) print_failure(outcome.error, outcome.log, verbose);
    }
    if (!static_) print_note("nothing was measured: not every variant is known");
    if (run.farm.stopped_by == 0) return run.unknown == 0 ? kFine : kFailedWork;
    print_note(
        fmt::format("stopped by signal {} ({}): {} variants are not known; the same command "
                    "goes on from there",
                    run.farm.stopped_by, ::strsignal(run.farm.stopped_by), run.unknown));
    return kStoppedBySignal + run.farm.stopped_by;
  }

  RequestWords words_;
  std::vector<std::string> presets_;
  std::vector<std::string> archs_;
  FarmArguments farm_;
  std::string budget_;
  std::string output_;
  std::string html_;
  int device_ = kNotGiven;
  int seed_ = kNotGiven;
  bool all_presets_ = false;
  bool exhaustive_ = false;
  bool static_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_tune_verb() { return std::make_unique<TuneVerb>(); }

}  // namespace jit::inline v1
