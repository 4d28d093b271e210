// cubinet precompile [NAME...]
#include <fmt/format.h>

#include <chrono>

#include "cache/eviction.hpp"
#include "cubinet/precompile_plan.hpp"
#include "cubinet/precompile_report.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "cubinet/work_message.hpp"
#include "cubinet/worker_pool.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

constexpr int kMaxJobs = 1024;

// Fills one outcome per job: first what the cache has, then what workers compile.
class Precompile {
 public:
  Precompile(Context& context, const std::vector<KernelJob>& jobs, Progress& progress)
      : context_(context),
        impl_(context.impl()),
        jobs_(jobs),
        progress_(progress),
        outcomes_(jobs.size()) {}

  // Errors: kNoCompiler, kIo if nothing at all can be compiled or kept.
  std::vector<KernelOutcome> run(std::size_t processes) {
    require_directory();
    // Known before the first look-up, so that it passes over what the driver cannot load.
    const auto toolchain = impl_.source().toolchain(impl_.devices().driver_release());
    look_up();
    if (misses_.empty()) return std::move(outcomes_);
    if (impl_.options().mode == Mode::kReadOnly) refuse_misses();
    else if (impl_.options().mode == Mode::kFrozen) explain_misses();
    else if (!toolchain) impl_.precompile(job(0).signature, job(0).arch, job(0).debug);
    else compile(processes);
    return std::move(outcomes_);
  }

 private:
  const KernelJob& job(std::size_t miss) const { return jobs_[misses_[miss]]; }

  void require_directory() const {
    const Directory* directory = impl_.source().directory();
    if (directory == nullptr) {
      throw Error(ErrorCode::kIo,
                  "precompile: the cache is in memory only (CUBINET_CACHE_DIR=none); "
                  "name a directory with --cache-dir");
    }
    const std::string reason = directory->reason();
    if (!reason.empty()) throw Error(ErrorCode::kIo, fmt::format("precompile: {}", reason));
  }

  void look_up() {
    for (std::size_t i = 0; i < jobs_.size(); ++i) {
      const KernelJob& job = jobs_[i];
      const Unit unit = make_unit(job.signature, job.arch, job.debug);
      PrecompileReport& report = outcomes_[i].report;
      report.name = job.signature.tmpl->name;
      report.signature = unit.name();
      report.arch = job.arch.text();
      report.key = unit.key.hex();
      const auto artifact = impl_.source().find(unit, ArtifactSource::Purpose::kKeep);
      if (!artifact) {
        misses_.push_back(i);
        continue;
      }
      impl_.source().count_hit(*artifact);
      report.hit = true;
      report.toolchain = artifact->toolchain.text();
      report.compile_ms = artifact->facts.compile_ms;
      report.registers = artifact->facts.registers;
      report.smem_bytes = artifact->facts.smem_bytes;
      report.spill_bytes = artifact->facts.spill_bytes();
      report.cubin_bytes = artifact->cubin.size();
      outcomes_[i].state = KernelState::kHit;
      progress_.finished(outcomes_[i]);
    }
  }

  void refuse_misses() {
    for (const std::size_t i : misses_) {
      finish(i, failure(ErrorCode::kIo,
                        fmt::format("precompile {}: CUBINET_MODE=readonly forbids writing to the "
                                    "cache; set CUBINET_MODE=auto",
                                    outcomes_[i].report.signature)));
    }
  }

  void explain_misses() {
    for (const std::size_t i : misses_) finish(i, precompile_here(context_.runtime(), jobs_[i]));
  }

  void compile(std::size_t processes) {
    std::vector<std::string> lines;
    for (const std::size_t i : misses_) lines.push_back(encode(jobs_[i]));
    std::vector<std::string> arguments = context_.global_arguments();
    arguments.emplace_back("precompile-worker");
    WorkerPool pool(std::move(arguments));
    pool.run(lines, processes, [this](std::size_t miss, const Reply& reply) {
      const std::size_t i = misses_[miss];
      finish(i, reply.ok ? decode_outcome(reply.text)
                         : failure(ErrorCode::kInternal,
                                   fmt::format("precompile {}: {}", outcomes_[i].report.signature,
                                               reply.text)));
    });
    keep_bounds();
  }

  // The workers end before their housekeeping does.
  void keep_bounds() {
    const Directory* directory = impl_.source().directory();
    if (directory == nullptr) return;
    EvictionRequest request;
    request.max_bytes = impl_.options().max_cache_bytes;
    request.patience = std::chrono::seconds(10);
    const EvictionResult result = directory->evict(request);
    if (result.removed_entries == 0) return;
    print_note(
        fmt::format("{} entries, those used longest ago, were removed to keep {} within its "
                    "bounds; raise CUBINET_CACHE_MAX_SIZE to keep more",
                    result.removed_entries, directory->root().string()));
  }

  void finish(std::size_t i, KernelOutcome outcome) {
    // A failure says nothing of itself but its error.
    if (outcome.state == KernelState::kFailed) outcome.report = outcomes_[i].report;
    outcomes_[i] = std::move(outcome);
    progress_.finished(outcomes_[i]);
  }

  Context& context_;
  Runtime::Impl& impl_;
  const std::vector<KernelJob>& jobs_;
  Progress& progress_;
  std::vector<KernelOutcome> outcomes_;
  std::vector<std::size_t> misses_;
};

class PrecompileVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {
        "precompile", "Compiles kernels into the cache; needs no GPU",
        "  cubinet precompile --all-presets --arch sm_90a\n"
        "  cubinet precompile merge_attn_states --preset bf16_d128 --arch sm_90a,sm_80\n"
        "  cubinet precompile merge_attn_states --set HEAD_SIZE=96 --set INPUT_TYPE=f16 -j 4\n"
        "\n"
        "Every bucket step of a preset, or of the constants given, is compiled. What is in the\n"
        "cache already is a hit. A kernel that fails does not keep the others from being\n"
        "compiled."};
  }

  void declare(Arguments& arguments) override {
    request_.words.declare(arguments, "Templates (with --all-presets: none means all)");
    arguments.add({"--preset", "A preset; may be repeated", "PRESET"}, request_.presets);
    arguments.add({"--all-presets", "Every preset", {}}, request_.all_presets);
    arguments.add({"--arch", "Architectures (else those of the GPUs at hand)", "LIST"}, archs_);
    arguments.add({"-j,--jobs", "Worker processes (else one per core)", "N"}, processes_);
    arguments.add({"--debug", "none, lineinfo or full", "KIND"}, debug_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    if (processes_ < 0 || processes_ > kMaxJobs) {
      throw UsageError(fmt::format("-j {}: expected 1 to {}", processes_, kMaxJobs));
    }
    const auto begin = std::chrono::steady_clock::now();
    request_.words.split();
    request_.archs = parse_archs(archs_);
    request_.debug = parse_debug(debug_);
    const std::vector<KernelJob> jobs = make_plan(context, request_);
    const std::vector<KernelOutcome> outcomes = carry_out(context, jobs);
    const double elapsed_ms =
        std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
    if (json_) {
      print(report_json(outcomes, elapsed_ms, context.verbose()).text());
    } else {
      print(report_text(outcomes, elapsed_ms));
      explain_failures(outcomes, context.verbose());
    }
    return totals_of(outcomes).failed == 0 ? kFine : kFailedWork;
  }

 private:
  std::vector<KernelOutcome> carry_out(Context& context, const std::vector<KernelJob>& jobs) const {
    Progress progress(jobs.size(), json_);
    const std::size_t processes =
        processes_ == 0 ? usable_cores() : static_cast<std::size_t>(processes_);
    return Precompile(context, jobs, progress).run(processes);
  }

  static void explain_failures(const std::vector<KernelOutcome>& outcomes, bool verbose) {
    flush_output();
    for (const KernelOutcome& outcome : outcomes) {
      if (outcome.state != KernelState::kFailed) continue;
      print_failure(outcome.error, outcome.log, verbose);
    }
  }

  PlanRequest request_;
  std::vector<std::string> archs_;
  std::string debug_ = "none";
  int processes_ = 0;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_precompile_verb() { return std::make_unique<PrecompileVerb>(); }

}  // namespace jit::inline v1
