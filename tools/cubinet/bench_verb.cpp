// cubinet bench NAME
#include <fmt/format.h>

#include <algorithm>

#include "base/file.hpp"
#include "bench/farm.hpp"
#include "bench/merge_attn_states.hpp"
#include "bench/report.hpp"
#include "bench/runtime_speed.hpp"
#include "bench/start.hpp"
#include "bench/tuning.hpp"
#include "bench/tuning_workload.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

// Generated from tools/bench/templates.
std::span<const table::Template> bench_templates();

namespace {

std::vector<std::int64_t> parse_list(const std::vector<std::string>& texts,
                                     std::string_view option) {
  std::vector<std::int64_t> values;
  for (const std::string& text : texts) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const std::string word = text.substr(begin, end - begin);
      if (word.empty() || word.size() > 9 ||
          word.find_first_not_of("0123456789") != std::string::npos || std::stoll(word) == 0) {
        throw UsageError(fmt::format("bench: {} takes numbers above 0, such as 1,64,4096", option));
      }
      values.push_back(std::stoll(word));
      begin = end + 1;
    }
  }
  return values;
}

std::vector<MergeScales> parse_scales(const std::vector<std::string>& texts) {
  std::vector<MergeScales> kinds;
  for (const std::string& text : texts) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      const std::string_view word = std::string_view(text).substr(begin, end - begin);
      const auto known = merge_scales();
      const auto found = std::find_if(known.begin(), known.end(), [&](const MergeScales& scales) {
        return scales.name == word;
      });
      if (found == known.end()) {
        throw UsageError(
            fmt::format("bench: --scales takes tensor, group128, group64, group128_ue8m0 and "
                        "group64_ue8m0, not {}",
                        word));
      }
      kinds.push_back(*found);
      begin = end + 1;
    }
  }
  return kinds;
}

class BenchVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"bench", "Checks and times a kernel, the runtime, tuning, or the precompile farm",
            "  cubinet bench merge_attn_states\n"
            "  cubinet bench merge_attn_states --tokens 1,4096 --heads 128 --json\n"
            "  cubinet bench merge_attn_states --scales tensor,group128,group128_ue8m0\n"
            "  cubinet bench runtime --output runtime.json\n"
            "  cubinet bench start --processes 8 --rounds 5\n"
            "  cubinet bench tuning --preset bf16_d128 --output tuning.json\n"
            "  cubinet bench farm --workers 1,2,4,8,16 --kernels 128     needs no GPU\n"};
  }

  void declare(Arguments& arguments) override {
    arguments.add({"NAME",
                   "merge_attn_states; runtime for hits, launches and restarts; start for many "
                   "kernels in many processes; tuning for requests, choices and their cost; farm "
                   "for precompile",
                   {}},
                  names_);
    arguments.add({"--tokens", "Token counts", "LIST"}, tokens_);
    arguments.add({"--heads", "Head counts", "LIST"}, heads_);
    arguments.add({"--head-size", "Elements per head", "N"}, head_size_);
    arguments.add({"--scales", "tensor, group128, group64, group128_ue8m0, group64_ue8m0", "LIST"},
                  scales_);
    arguments.add({"--workers", "farm: numbers of worker processes", "LIST"}, workers_);
    arguments.add({"--kernels", "farm: kernels to compile each time (else 64)", "N"}, kernels_);
    arguments.add({"--arch", "farm: architecture (else sm_90a)", "ARCH"}, arch_);
    arguments.add({"--preset", "tuning: presets of merge_attn_states", "NAME"}, presets_);
    arguments.add({"--rounds", "Samples per point; tuning: times that it is repeated", "N"},
                  rounds_);
    arguments.add({"--processes", "That start together (else 8; tuning 16)", "N"}, processes_);
    arguments.add({"--seed", "Repeat the check of a report or a failure, or the requests", "N"},
                  seed_);
    arguments.add({"--quick", "A few points and samples", {}}, quick_);
    arguments.add({"--output", "Write the JSON there too", "FILE"}, output_);
    arguments.add({"--commit", "The commit to record in the JSON", "SHA"}, commit_);
    arguments.add(
        {"--restarted", "For the benchmark's own use: be the process that is measured", "ROLE"},
        restarted_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    if (names_.size() != 1) {
      throw UsageError("bench: expected merge_attn_states, runtime, start, tuning or farm");
    }
    const bool farm = names_.front() == "farm";
    if (!restarted_.empty() && farm) {
      return run_compile_loop(context.runtime(), arch_, kernels_wanted(),
                              static_cast<std::size_t>(parse_list({restarted_}, "-")[0]));
    }
    if (restarted_ == kOnMissRole) return run_on_miss(context.runtime(), names_.front());
    if (!restarted_.empty()) {
      const bool is_start = restarted_ == "warm-up" || restarted_ == "loads";
      return (is_start ? run_start : run_restarted)(context.runtime(), restarted_, names_.front());
    }
    table::register_templates(bench_templates());
    const BenchReport report = farm ? bench_farm(context) : bench_on_gpu(context);
    print(json_ ? format_json(report) : format_table(report));
    if (output_.empty()) return kFine;
    const int error = replace_file(output_, format_json(report), 0644);
    if (error != 0) {
      throw Error(ErrorCode::kIo, fmt::format("write {}: {}", output_, error_text(error)));
    }
    return kFine;
  }

 private:
  std::size_t kernels_wanted() const {
    if (kernels_ < 1 || kernels_ > 512) throw UsageError("bench: --kernels takes 1 to 512");
    return static_cast<std::size_t>(kernels_);
  }

  BenchReport bench_farm(Context& context) const {
    FarmBenchOptions options;
    options.kernels = kernels_wanted();
    options.arch = arch_;
    if (rounds_ < 0) throw UsageError("bench: --rounds takes a number above 0");
    if (rounds_ > 0) options.rounds = rounds_;
    for (const std::int64_t count : parse_list(workers_, "--workers")) {
      options.workers.push_back(static_cast<std::size_t>(count));
    }
    const Directory* directory = context.impl().source().directory();
    if (directory == nullptr) throw UsageError("bench: farm needs a --cache-dir to work below");
    BenchReport report =
        jit::bench_farm(context.runtime(), directory->root() / "bench-farm", options);
    const auto toolchain = context.impl().source().toolchain(std::nullopt);
    report.toolchain = toolchain ? toolchain->id.text() : "no nvrtc";
    report.commit = commit_;
    report.command = command_line();
    return report;
  }

  BenchReport bench_on_gpu(Context& context) const {
    BenchReport report;
    describe(context, report);
    Driver& driver = context.impl().devices().driver();
    if (names_.front() == "runtime") bench_runtime(context.runtime(), driver, report);
    else if (names_.front() == "start") bench_start(start_options(), report);
    else if (names_.front() == "merge_attn_states") bench_merge(context, driver, report);
    else if (names_.front() == "tuning") bench_tuning(context, driver, report);
    else
      throw UsageError(
          fmt::format("bench: no benchmark {}; there are merge_attn_states, "
                      "runtime, start, tuning and farm",
                      names_.front()));
    return report;
  }

  void describe(Context& context, BenchReport& report) const {
    Devices& devices = context.impl().devices();
    const DeviceInfo& device = devices.driver().device(devices.driver().ensure_context());
    const CompilerRelease release = devices.driver().version();
    report.gpu = device.name;
    report.driver = fmt::format("driver for CUDA {}.{}", release.major, release.minor);
    if (const auto version = read_file("/sys/module/nvidia/version")) {
      report.driver = fmt::format("driver {}", version->substr(0, version->find('\n')));
    }
    const auto toolchain = context.impl().source().toolchain(release);
    report.toolchain = toolchain ? toolchain->id.text() : "no nvrtc";
    report.commit = commit_;
    report.command = command_line();
  }

  std::string command_line() const {
    std::string command = "cubinet bench " + names_.front();
    if (quick_) command += " --quick";
    for (const std::string& text : tokens_) command += " --tokens " + text;
    for (const std::string& text : heads_) command += " --heads " + text;
    for (const std::string& text : scales_) command += " --scales " + text;
    for (const std::string& text : workers_) command += " --workers " + text;
    if (names_.front() == "farm")
      command += fmt::format(" --kernels {} --arch {}", kernels_, arch_);
    if (head_size_ != 128) command += fmt::format(" --head-size {}", head_size_);
    for (const std::string& text : presets_) command += " --preset " + text;
    if (processes_ != 0) command += fmt::format(" --processes {}", processes_);
    if (rounds_ != 0) command += fmt::format(" --rounds {}", rounds_);
    return command;
  }

  void check_numbers() const {
    if (processes_ < 0 || processes_ > 256) {
      throw UsageError("bench: --processes takes a number from 1 to 256");
    }
    if (rounds_ < 0) throw UsageError("bench: --rounds takes a number above 0");
    if (seed_ < 0) throw UsageError("bench: --seed takes a number above 0");
  }

  void bench_tuning(Context& context, Driver& driver, BenchReport& report) const {
    TuningBenchOptions options = tuning_options();
    // Whoever is stopped halfway has the parts that were done.
    options.after_part = [&](std::string_view part) {
      print_note(fmt::format("{}: done", part));
      if (!output_.empty()) static_cast<void>(replace_file(output_, format_json(report), 0644));
    };
    jit::bench_tuning(context.runtime(), driver, options, report);
  }

  TuningBenchOptions tuning_options() const {
    check_numbers();
    TuningBenchOptions options;
    if (quick_) {
      options.presets = {"bf16_d128"};
      options.processes = options.counts = options.repeats = 3;
    }
    if (!presets_.empty()) options.presets = presets_;
    if (processes_ > 0) options.processes = processes_;
    if (rounds_ > 0) options.repeats = rounds_;
    if (seed_ > 0) options.seed = static_cast<std::uint64_t>(seed_);
    return options;
  }

  StartBenchOptions start_options() const {
    check_numbers();
    StartBenchOptions options;
    if (processes_ > 0) options.processes = processes_;
    if (quick_) options.rounds = 1;
    if (rounds_ > 0) options.rounds = rounds_;
    return options;
  }

  void bench_merge(Context& context, Driver& driver, BenchReport& report) const {
    MergeBenchOptions options;
    if (quick_) {
      options.tokens = {1, 256, 4096};
      options.heads = {128};
      options.scales = {merge_scales()[0]};
      if (head_size_ % 128 == 0) options.scales.push_back(merge_scales()[1]);
      options.rounds = 5;
    }
    if (!tokens_.empty()) options.tokens = parse_list(tokens_, "--tokens");
    if (!heads_.empty()) options.heads = parse_list(heads_, "--heads");
    if (!scales_.empty()) options.scales = parse_scales(scales_);
    if (rounds_ < 0) throw UsageError("bench: --rounds takes a number above 0");
    if (rounds_ > 0) options.rounds = rounds_;
    options.head_size = head_size_;
    if (seed_ < 0) throw UsageError("bench: --seed takes a number above 0");
    if (seed_ > 0) options.check_seed = static_cast<std::uint64_t>(seed_);
    bench_merge_attn_states(context.runtime(), driver, options, report);
  }

  std::vector<std::string> names_;
  std::vector<std::string> tokens_;
  std::vector<std::string> heads_;
  std::vector<std::string> scales_;
  std::vector<std::string> presets_;
  std::vector<std::string> workers_;
  std::string arch_ = "sm_90a";
  int kernels_ = 64;
  int head_size_ = 128;
  int rounds_ = 0;
  int seed_ = 0;
  int processes_ = 0;
  bool quick_ = false;
  std::string output_;
  std::string commit_;
  std::string restarted_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_bench_verb() { return std::make_unique<BenchVerb>(); }

}  // namespace jit::inline v1
