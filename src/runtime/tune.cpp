// Runtime::tune: from a template and its shape constants to records that are kept.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/runtime_impl.hpp"
#include "runtime/tuning_problems.hpp"
#include "runtime/variant_facts.hpp"
#include "tune/space.hpp"

namespace jit::inline v1 {

// The variants of a tuner, through the Runtime's own cache, compiler and driver.
class RuntimeCandidates final : public CandidateSource {
 public:
  RuntimeCandidates(Runtime::Impl& impl, ComputeCapability gpu)
      : impl_(impl), gpu_(gpu), refused_(impl.source_) {}
  // What was loaded is unloaded by now.
  ~RuntimeCandidates() override {
    impl_.kernels_loaded_.fetch_sub(kernels_, std::memory_order_relaxed);
    impl_.bytes_loaded_.fetch_sub(bytes_, std::memory_order_relaxed);
  }
  RuntimeCandidates(const RuntimeCandidates&) = delete;
  RuntimeCandidates& operator=(const RuntimeCandidates&) = delete;

  TuningCandidate candidate(const Signature& signature) override {
    TuningCandidate made;
    made.signature = std::make_unique<Signature>(signature);
    made.arch = impl_.arch_for(signature, gpu_);
    const Unit unit = impl_.render(*made.signature, made.arch, Debug::kNone);
    const auto compiler = impl_.source_.toolchain(impl_.devices_.driver().version());
    if (compiler) {
      if (auto reason = refused_.find(unit, compiler->id)) {
        made.facts.refused = std::move(*reason);
        return made;
      }
    }
    try {
      made.artifact = artifact_of(unit);
      made.facts = facts_of(signature, made.artifact->facts);
    } catch (const Error& error) {
      if (!is_refusal(error)) throw;
      made.facts.refused = reason_of_refusal(error.what());
      if (compiler) refused_.add(unit, compiler->id, made.facts.refused);
    }
    return made;
  }

  std::unique_ptr<detail::LoadedKernel> load(const TuningCandidate& candidate) override {
    const Unit unit = impl_.render(*candidate.signature, candidate.arch, Debug::kNone);
    auto kernel = impl_.load(unit, *candidate.artifact);
    ++kernels_;
    bytes_ += candidate.artifact->cubin.size();
    return kernel;
  }

 private:
  // The kernel as a request would get it, but for its load.
  Artifact artifact_of(const Unit& unit) {
    ArtifactSource& source = impl_.source_;
    std::string_view miss;
    const auto hit = [&](ArtifactSource::Found found) {
      source.count_hit(found);
      return std::move(found.artifact);
    };
    if (auto found = source.find(unit, ArtifactSource::Purpose::kLoad, &miss)) {
      return hit(std::move(*found));
    }
    impl_.require_compilable(unit, miss);
    const FlightLock flight = source.claim(unit);
    if (flight.state() != LockState::kUnavailable) {
      if (auto found = source.find(unit)) return hit(std::move(*found));
    }
    source.count_miss(miss);
    Artifact artifact = source.compile(unit);
    source.publish(unit, artifact);
    return artifact;
  }

  Runtime::Impl& impl_;
  ComputeCapability gpu_;
  RefusedVariants refused_;
  std::uint64_t kernels_ = 0;
  std::uint64_t bytes_ = 0;
};

namespace {

[[noreturn]] void refuse(const table::Template& tmpl, std::string_view reason) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("tune {}: {}", tmpl.name, reason));
}

void require_shape_alone(const table::Template& tmpl, std::span<const Constant> constants) {
  for (const Constant& constant : constants) {
    const auto decl =
        std::find_if(tmpl.constants.begin(), tmpl.constants.end(),
                     [&](const table::ConstantDecl& known) { return known.name == constant.name; });
    if (decl == tmpl.constants.end() || decl->role == table::Role::kShape) continue;
    refuse(tmpl, fmt::format("{} is tunable and what is looked for; give shape constants alone",
                             constant.name));
  }
}

std::vector<BucketSteps> steps_of(const TuningJob& job) {
  if (job.steps) return {*job.steps};
  if (!job.options.sizes.empty()) return {steps_of(job.tmpl, job.options.sizes)};
  return all_steps(job.tmpl);
}

std::string text_of(const TuningRecord& record) {
  std::string text;
  for (const RecordedBucket& bucket : record.buckets) {
    text += fmt::format("{}{}={}", text.empty() ? "" : ",", bucket.name, bucket.step);
  }
  return text;
}

}  // namespace

std::vector<TuningRecord> Runtime::Impl::tune(const TuningJob& job) {
  require_shape_alone(job.tmpl, job.constants);
  const std::vector<BucketSteps> steps = steps_of(job);
  for (const BucketSteps& some : steps) {
    static_cast<void>(resolve(job.tmpl, job.constants, some));
  }
  static_cast<void>(variants_of(job.tmpl));
  if (!has_tuning_problem(job.tmpl.name)) {
    refuse(job.tmpl,
           "nobody has said how to launch and check it; call jit::set_tuning_problem in the "
           "program that tunes");
  }
  Driver& driver = devices_.driver();
  const int device = job.options.device >= 0 ? driver.device(job.options.device).ordinal
                                             : driver.current_device().value_or(0);
  std::optional<ContextScope> scope;
  if (driver.current_device() != device) scope.emplace(driver, driver.primary_context(device));
  // The caller may be capturing a stream of his own: it is neither broken nor entered.
  const RelaxedCapture relaxed(driver);
  templates_.mark_served(job.tmpl.name);
  Span span(trace_.sink(), "tune");
  if (span.has_sink()) span.arg("template", std::string(job.tmpl.name));

  RuntimeCandidates candidates(*this, driver.device(device).capability);
  Tuner tuner(candidates, job, driver, driver.device(device));
  std::vector<TuningRecord> records;
  double left_ms = static_cast<double>(job.options.budget.count());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const double share_ms = std::max(0.0, left_ms / static_cast<double>(steps.size() - i));
    records.push_back(
        tuner.tune(steps[i], std::chrono::milliseconds(static_cast<std::int64_t>(share_ms))));
    left_ms -= 1000 * records.back().evidence.seconds;
    if (job.options.keep) keep(records.back());
  }
  recorder_.write();
  return records;
}

void Runtime::Impl::keep(const TuningRecord& record) {
  const std::string error = tuning_.keep(record);
  const Directory* directory = source_.directory();
  if (error.empty() || directory == nullptr || options_.mode != Mode::kAuto) return;
  logger_.warning(fmt::format("keep the tuning record of {} {} in {}: {}", record.name,
                              text_of(record), (directory->root() / kTuningFile).string(), error));
}

}  // namespace jit::inline v1
