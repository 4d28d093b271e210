#include "cubinet/tune/static_tuning.hpp"

#include <fmt/format.h>

#include <chrono>
#include <map>
#include <optional>

#include "runtime/runtime_impl.hpp"
#include "runtime/variant_facts.hpp"
#include "tune/static_stage.hpp"

namespace jit::inline v1 {
namespace {

constexpr auto kKeep = ArtifactSource::Purpose::kKeep;

// The kernels of all tasks, each once, and what is known of them.
class Variants {
 public:
  Variants(Context& context, std::span<const TuningTask> tasks)
      : source_(context.impl().source()), refused_(source_) {
    const auto location = source_.toolchain(context.impl().devices().driver_release());
    if (location) toolchain_ = location->id;
    for (const TuningTask& task : tasks) {
      for (const Signature& variant : task.variants) add(variant, task.arch);
    }
  }

  const std::vector<KernelJob>& jobs() const { return jobs_; }
  std::size_t known_refused() const { return facts_.size() - jobs_.size(); }
  std::string release() const { return toolchain_.known() ? toolchain_.release.text() : ""; }

  // Takes what became of jobs()[i]. Returns: false if that says nothing of the kernel.
  bool take(std::size_t job, const KernelOutcome& outcome) {
    const KernelJob& what = jobs_[job];
    StaticFacts& facts = facts_[what.signature.text(what.arch)];
    const Unit unit = make_unit(what.signature, what.arch, Debug::kNone);
    if (outcome.state == KernelState::kRefused) {
      facts.refused = reason_of_refusal(outcome.error);
      refused_.add(unit, toolchain_, facts.refused);
      return true;
    }
    if (outcome.state == KernelState::kHit || outcome.state == KernelState::kCompiled) {
      facts = find_facts(source_, refused_, unit, kKeep).value_or(reported(what, outcome));
      return true;
    }
    facts.refused = fmt::format("{}{}", kNotKnown,
                                outcome.error.empty() ? "the run was stopped" : outcome.error);
    return false;
  }

  std::vector<StaticFacts> of(const TuningTask& task) const {
    std::vector<StaticFacts> facts;
    for (const Signature& variant : task.variants) {
      facts.push_back(facts_.at(variant.text(task.arch)));
    }
    return facts;
  }

 private:
  void add(const Signature& variant, Arch arch) {
    const auto [at, added] = facts_.try_emplace(variant.text(arch));
    if (!added) return;
    if (auto reason = refused_.find(make_unit(variant, arch, Debug::kNone), toolchain_)) {
      at->second.refused = std::move(*reason);
    } else {
      jobs_.push_back({variant, arch, Debug::kNone});
    }
  }

  // Of an entry that somebody has evicted since.
  static StaticFacts reported(const KernelJob& job, const KernelOutcome& outcome) {
    ArtifactFacts facts;
    facts.registers = outcome.report.registers;
    facts.smem_bytes = outcome.report.smem_bytes;
    facts.spill_store_bytes = outcome.report.spill_bytes;
    return facts_of(job.signature, facts);
  }

  ArtifactSource& source_;
  RefusedVariants refused_;
  ToolchainId toolchain_;
  std::map<std::string, StaticFacts> facts_;  // by signature and architecture
  std::vector<KernelJob> jobs_;
};

PrecompileRun compile(Context& context, const std::vector<KernelJob>& jobs,
                      const FarmOptions& options, bool json) {
  const auto begin = std::chrono::steady_clock::now();
  PrecompileRun run;
  if (jobs.empty()) return run;
  Progress progress(jobs.size(), json);
  Precompile precompile(context, jobs, progress);
  run.outcomes = precompile.run(options);
  run.workers = precompile.workers();
  run.stopped_by = precompile.stopped_by();
  run.elapsed_ms =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  return run;
}

void fill(TuningRecord& record, const TuningTask& task, const std::vector<StaticFacts>& facts) {
  const std::vector<TuningVariant> verdicts = judge(facts, task.arch.capability());
  for (std::size_t i = 0; i < verdicts.size(); ++i) {
    TuningVariant verdict = verdicts[i];
    verdict.set = std::move(record.evidence.variants[i].set);
    record.evidence.variants[i] = std::move(verdict);
  }
}

}  // namespace

StaticRun run_static_stage(Context& context, std::span<const TuningTask> tasks,
                           const FarmOptions& options, bool json) {
  Variants variants(context, tasks);
  StaticRun run;
  run.known_refused = variants.known_refused();
  FarmOptions farm = options;
  farm.refusals = Refusals::kAll;
  run.farm = compile(context, variants.jobs(), farm, json);
  for (std::size_t i = 0; i < run.farm.outcomes.size(); ++i) {
    if (!variants.take(i, run.farm.outcomes[i])) ++run.unknown;
  }
  for (const TuningTask& task : tasks) {
    TuningRecord& record = run.records.emplace_back(record_of(task));
    record.toolchain = variants.release();
    fill(record, task, variants.of(task));
  }
  return run;
}

}  // namespace jit::inline v1
