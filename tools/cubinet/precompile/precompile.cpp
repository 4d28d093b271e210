#include "cubinet/precompile/precompile.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <string>

#include "cache/eviction.hpp"
#include "cache/inspection.hpp"
#include "cubinet/precompile/stop_signals.hpp"
#include "cubinet/text.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

std::vector<KernelOutcome> Precompile::run(const FarmOptions& options) {
  require_directory();
  // Known before the first look-up, so that it passes over what the driver cannot load.
  const auto toolchain = impl_.source().toolchain(impl_.devices().driver_release());
  look_up();
  if (misses_.empty()) return std::move(outcomes_);
  const KernelJob& first = jobs_[misses_.front()];
  if (impl_.options().mode == Mode::kReadOnly) refuse_misses();
  else if (impl_.options().mode == Mode::kFrozen) explain_misses();
  else if (!toolchain) impl_.precompile(first.signature, first.arch, first.debug);
  else compile(options);
  return std::move(outcomes_);
}

void Precompile::require_directory() const {
  const Directory* directory = impl_.source().directory();
  if (directory == nullptr) {
    throw Error(ErrorCode::kIo,
                "precompile: the cache is in memory only (CUBINET_CACHE_DIR=none); "
                "name a directory with --cache-dir");
  }
  const std::string reason = directory->reason();
  if (!reason.empty()) throw Error(ErrorCode::kIo, fmt::format("precompile: {}", reason));
}

void Precompile::look_up() {
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    const KernelJob& job = jobs_[i];
    const Unit unit = make_unit(job.signature, job.arch, job.debug);
    PrecompileReport& report = outcomes_[i].report;
    report.name = job.signature.tmpl->name;
    report.signature = unit.name();
    report.arch = job.arch.text();
    report.key = unit.key.hex();
    const auto found = impl_.source().find(unit, ArtifactSource::Purpose::kKeep);
    if (!found) {
      outcomes_[i].state = KernelState::kNotDone;
      misses_.push_back(i);
      continue;
    }
    impl_.source().count_hit(*found);
    report.hit = true;
    report.toolchain = found->artifact.toolchain.text();
    report.compile_ms = found->artifact.facts.compile_ms;
    report.registers = found->artifact.facts.registers;
    report.smem_bytes = found->artifact.facts.smem_bytes;
    report.spill_bytes = found->artifact.facts.spill_bytes();
    report.cubin_bytes = found->artifact.cubin.size();
    outcomes_[i].state = KernelState::kHit;
    progress_.finished(outcomes_[i]);
  }
}

void Precompile::refuse_misses() {
  for (const std::size_t i : misses_) {
    finish(i, failure(ErrorCode::kIo,
                      failure_text(i,
                                   "CUBINET_MODE=readonly forbids writing to the cache; set "
                                   "CUBINET_MODE=auto")));
  }
}

void Precompile::explain_misses() {
  for (const std::size_t i : misses_) finish(i, precompile_here(context_.runtime(), jobs_[i]));
}

void Precompile::compile(const FarmOptions& options) {
  const FarmSize size = size_of_farm(options.wish, Machine());
  workers_ = std::min(size.workers, misses_.size());
  if (!size.note.empty() && size.workers < misses_.size()) progress_.note(size.note);
  refusals_ = options.refusals;
  if (misses_.size() > workers_) put_longest_first(misses_, jobs_, *impl_.source().directory());
  const StopSignals signals;
  PoolOptions pool;
  pool.arguments = context_.global_arguments();
  pool.arguments.emplace_back("precompile-worker");
  pool.processes = workers_;
  pool.timeout = options.timeout;
  pool.stop_fd = signals.fd();
  progress_.begin();
  if (!WorkerPool(std::move(pool), *this).run(misses_.size())) {
    stopped_by_ = StopSignals::received();
  }
  keep_bounds();
}

void Precompile::keep_bounds() {
  const Directory* directory = impl_.source().directory();
  if (directory == nullptr || stopped_by_ != 0) return;
  EvictionRequest request;
  request.max_bytes = impl_.options().max_cache_bytes;
  request.patience = std::chrono::seconds(10);
  const EvictionResult result = directory->evict(request);
  if (result.removed_entries == 0) return;
  progress_.note(
      fmt::format("{} entries, those used longest ago, were removed to keep {} within its "
                  "bounds; raise CUBINET_CACHE_MAX_SIZE to keep more",
                  result.removed_entries, directory->root().string()));
}

void Precompile::finish(std::size_t job, KernelOutcome outcome) {
  // A failure says nothing of itself but its error.
  if (outcome.state == KernelState::kFailed || outcome.state == KernelState::kRefused) {
    outcome.report = outcomes_[job].report;
  }
  outcome.retries = outcomes_[job].retries;
  outcomes_[job] = std::move(outcome);
  progress_.finished(outcomes_[job]);
}

std::string Precompile::failure_text(std::size_t job, const std::string& reason) const {
  return fmt::format("precompile {}: {}", outcomes_[job].report.signature, reason);
}

std::string Precompile::line(std::size_t order) {
  const std::size_t job = misses_[order];
  // As long as a request would wait; then the other process is believed to be stuck.
  const bool wait =
      postponed_[job] && Clock::now() - *postponed_[job] >= impl_.options().lock_timeout;
  return encode(jobs_[job], {wait, refusals_});
}

bool Precompile::answered(std::size_t order, const std::string& line) {
  const std::size_t job = misses_[order];
  KernelOutcome outcome = decode_outcome(line);
  if (outcome.state == KernelState::kBusy) {
    if (!postponed_[job]) postponed_[job] = Clock::now();
    return false;
  }
  finish(job, std::move(outcome));
  return true;
}

void Precompile::lost(std::size_t order, Loss loss, const std::string& reason, bool again) {
  const std::size_t job = misses_[order];
  KernelOutcome& outcome = outcomes_[job];
  if (again) {
    ++outcome.retries;
    progress_.note(failure_text(job, fmt::format("{}; it will be tried again", reason)));
    return;
  }
  std::string text = failure_text(
      job, fmt::format("{}; set aside after {} attempts", reason, outcome.retries + 1));
  if (loss == Loss::kTimedOut) text += "; raise --timeout if it needs longer";
  if (loss == Loss::kOutOfMemory) text += ", the last one alone; it needs more memory";
  KernelOutcome failed = failure(ErrorCode::kInternal, std::move(text));
  failed.error_code = name_of(loss);
  finish(job, std::move(failed));
}

void Precompile::abandoned(std::size_t order, const std::string& reason) {
  const std::size_t job = misses_[order];
  finish(job, failure(ErrorCode::kInternal, failure_text(job, reason)));
}

void put_longest_first(std::vector<std::size_t>& misses, const std::vector<KernelJob>& jobs,
                       const Directory& directory) {
  struct Mean {
    double sum = 0;
    double count = 0;
  };
  std::map<std::string, double, std::less<>> by_signature;
  std::map<std::string, Mean, std::less<>> by_template;
  for (const EntryInfo& info : list_entries(directory)) {
    if (!info.summary) continue;
    const Entry& entry = info.summary->entry;
    const double ms = static_cast<double>(entry.artifact.facts.compile_us()) / 1000;
    double& known = by_signature[entry.signature.substr(0, entry.signature.rfind('@'))];
    known = std::max(known, ms);
    Mean& mean = by_template[entry.name];
    mean.sum += ms;
    ++mean.count;
  }
  if (by_signature.empty()) return;
  const auto expected = [&](std::size_t job) {
    const Signature& signature = jobs[job].signature;
    const auto known = by_signature.find(signature.text());
    if (known != by_signature.end()) return known->second;
    const auto mean = by_template.find(signature.tmpl->name);
    return mean == by_template.end() ? 0.0 : mean->second.sum / mean->second.count;
  };
  std::vector<std::pair<double, std::size_t>> timed;
  timed.reserve(misses.size());
  for (const std::size_t job : misses) timed.emplace_back(-expected(job), job);
  std::stable_sort(timed.begin(), timed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::transform(timed.begin(), timed.end(), misses.begin(),
                 [](const auto& pair) { return pair.second; });
}

}  // namespace jit::inline v1
