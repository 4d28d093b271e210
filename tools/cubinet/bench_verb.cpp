// cubinet bench NAME
#include <fmt/format.h>

#include "base/file.hpp"
#include "bench/report.hpp"
#include "bench/restart.hpp"
#include "bench/runtime_speed.hpp"
#include "bench/tuning_workload.hpp"
#include "cubinet/bench_request.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

// Generated from tools/bench/templates.
std::span<const table::Template> bench_templates();

namespace {

constexpr std::string_view kNames =
    "merge_attn_states, mla_prefill, paged_mqa_logits, mqa_logits, fp8_attention, "
    "fp8_attention_decode, fp8_attention_tiles, runtime, start, tuning, farm and compile";

class BenchVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"bench", "Checks and times a kernel, the runtime, tuning, the farm or the compiler",
            "  cubinet bench merge_attn_states\n"
            "  cubinet bench merge_attn_states --tokens 1,4096 --heads 128 --json\n"
            "  cubinet bench merge_attn_states --scales tensor,group128,group128_ue8m0\n"
            "  cubinet bench mla_prefill --specs q512,8q4k --heads 16,128\n"
            "  cubinet bench paged_mqa_logits --quick\n"
            "  cubinet bench paged_mqa_logits --batch 1,64,256 --context 8192 --next-n 2,3\n"
            "  cubinet bench mqa_logits --tokens 2048 --keys 8192 --heads 32,64\n"
            "  cubinet bench fp8_attention --head-dim 64,128 --shapes 1x16384,16x1024\n"
            "  cubinet bench fp8_attention_decode --context 65536 --page-size none,16\n"
            "  cubinet bench runtime --output runtime.json\n"
            "  cubinet bench start --processes 8 --rounds 5\n"
            "  cubinet bench tuning --preset bf16_d128 --output tuning.json\n"
            "  cubinet bench farm --workers 1,2,4,8,16 --kernels 128     needs no GPU\n"
            "  cubinet bench compile --arch sm_90a                       needs no GPU\n"
            "  cubinet bench fp8_attention_tiles --head-dim 256          needs no GPU\n"};
  }

  void declare(Arguments& arguments) override {
    request_.declare(arguments);
    arguments.add({"--output", "Write the JSON there too", "FILE"}, output_);
    arguments.add({"--commit", "The commit to record in the JSON", "SHA"}, commit_);
    arguments.add(
        {"--restarted", "For the benchmark's own use: be the process that is measured", "ROLE"},
        restarted_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    if (request_.names.size() != 1) {
      throw UsageError(fmt::format("bench: expected one of {}", kNames));
    }
    if (!restarted_.empty()) return run_restarted_as(context);
    const BenchReport report = measure(context);
    print(json_ ? format_json(report) : format_table(report));
    if (output_.empty()) return kFine;
    const int error = replace_file(output_, format_json(report), 0644);
    if (error != 0) {
      throw Error(ErrorCode::kIo, fmt::format("write {}: {}", output_, error_text(error)));
    }
    return kFine;
  }

 private:
  int run_restarted_as(Context& context) const {
    if (request_.name() == "farm") {
      BenchRequest threads = request_;
      threads.workers = {restarted_};
      const FarmBenchOptions options = threads.farm();
      return run_compile_loop(context.runtime(), options.arch, options.kernels,
                              options.workers.front());
    }
    if (restarted_ == kOnMissRole) return run_on_miss(context.runtime(), request_.name());
    const bool is_start = restarted_ == "warm-up" || restarted_ == "loads";
    return (is_start ? run_start : run_restarted)(context.runtime(), restarted_, request_.name());
  }

  BenchReport measure(Context& context) const {
    BenchReport report;
    report.commit = commit_;
    report.command = request_.text();
    const bool needs_gpu = request_.name() != "compile" && request_.name() != "farm" &&
                           request_.name() != "fp8_attention_tiles";
    if (!needs_gpu) {
      measure_without_gpu(context, report);
      return report;
    }
    request_.check();
    describe_gpu(context, report);
    table::register_templates(bench_templates());
    Runtime& runtime = context.runtime();
    Driver& driver = context.impl().devices().driver();
    const std::string& name = request_.name();
    if (name == "runtime") bench_runtime(runtime, driver, report);
    else if (name == "start") bench_start(request_.start(), report);
    else if (name == "merge_attn_states")
      bench_merge_attn_states(runtime, driver, request_.merge(), report);
    else if (name == "mla_prefill")
      bench_mla_prefill(runtime, driver, request_.mla_prefill(), report);
    else if (name == "paged_mqa_logits")
      bench_paged_mqa_logits(runtime, driver, request_.paged_mqa(), report);
    else if (name == "fp8_attention")
      bench_fp8_prefill(runtime, driver, request_.fp8_prefill(), report);
    else if (name == "fp8_attention_decode")
      bench_fp8_decode(runtime, driver, request_.fp8_decode(), report);
    else if (name == "mqa_logits") bench_mqa_logits(runtime, driver, request_.mqa(), report);
    else if (name == "tuning") measure_tuning(context, driver, report);
    else throw UsageError(fmt::format("bench: no benchmark {}; there are {}", name, kNames));
    return report;
  }

  void measure_without_gpu(Context& context, BenchReport& report) const {
    const auto toolchain = context.impl().source().toolchain(std::nullopt);
    report.toolchain = toolchain ? toolchain->id.text() : "no nvrtc";
    if (request_.name() == "compile") {
      return bench_compile(context.runtime(), request_.compile(), report);
    }
    if (request_.name() == "fp8_attention_tiles") {
      return bench_fp8_attention_tiles(context.runtime(), request_.fp8_tiles(), report);
    }
    table::register_templates(bench_templates());
    const Directory* directory = context.impl().source().directory();
    if (directory == nullptr) throw UsageError("bench: farm needs a --cache-dir to work below");
    bench_farm(context.runtime(), directory->root() / "bench-farm", request_.farm(), report);
  }

  void describe_gpu(Context& context, BenchReport& report) const {
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
  }

  void measure_tuning(Context& context, Driver& driver, BenchReport& report) const {
    TuningBenchOptions options = request_.tuning();
    // Whoever is stopped halfway has the parts that were done.
    options.after_part = [&](std::string_view part) {
      print_note(fmt::format("{}: done", part));
      if (!output_.empty()) static_cast<void>(replace_file(output_, format_json(report), 0644));
    };
    bench_tuning(context.runtime(), driver, options, report);
  }

  BenchRequest request_;
  std::string output_;
  std::string commit_;
  std::string restarted_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_bench_verb() { return std::make_unique<BenchVerb>(); }

}  // namespace jit::inline v1
