// What every path of a Runtime shares: its making, the look into memory, loads, counts.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "cache/statistics.hpp"
#include "cache/statistics_names.hpp"
#include "compile/compile_gate.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

// A deadline that far away can still be added to a clock.
RuntimeOptions with_finite_patience(RuntimeOptions options) {
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  options.lock_timeout = std::min(options.lock_timeout, kLongest);
  options.tuning_budget = std::min(options.tuning_budget, kLongest);
  return options;
}

MemoRequest memo_request(const KernelRequest& request, std::size_t model) {
  return {request.name,
          request.constants,
          {request.sizes.begin(), request.sizes.size()},
          request.options.debug,
          model};
}

}  // namespace

Runtime::Impl::Impl(RuntimeOptions options)
    : options_(with_finite_patience(std::move(options))),
      logger_(options_.log_sink, options_.log_level),
      trace_(options_.trace_file, logger_),
      templates_({options_.template_path, options_.cuda_home}),
      devices_(options_.driver),
      churn_(options_.churn, options_.churn_limit, logger_),
      requests_(options_.record_file, logger_),
      pursuits_({[this](Pursuit& pursuit) { return look_for(pursuit); },
                 [this](Pursuit& pursuit) { return make(pursuit); }},
                logger_),
      source_(options_, logger_, trace_.sink()),
      tuning_(options_, source_.directory(), source_.tiers(), logger_),
      recorder_(source_.directory(), [this] { return counts(); }) {
  for (const std::filesystem::path& directory : options_.template_path) {
    std::error_code error;
    if (std::filesystem::is_directory(directory, error)) continue;
    logger_.warning(
        fmt::format("read templates below {}: no such directory; check the template "
                    "path",
                    directory.string()));
  }
}

// What still works for this Runtime ends before the recorder writes for the last time.
Runtime::Impl::~Impl() {
  pursuits_.stop();
  source_.end_housekeeping();
}

Runtime::Impl::InMemory Runtime::Impl::find_in_memory(const KernelRequest& request) {
  if (!devices_.ready()) return {};
  const MemoRequest asked = memo_request(request, devices_.model_index(request.options.device));
  const RequestMemo::Found found = memo_.find(asked);
  if (found.slot == nullptr) return {};
  const std::size_t capability = devices_.capability_index(asked.model);
  return {found.slot->loaded[capability].load(std::memory_order_acquire), found.group};
}

RequestMemo::Found Runtime::Impl::find_in_memo(const KernelRequest& request) {
  return memo_.find(memo_request(request, devices_.model_index(request.options.device)));
}

std::optional<std::size_t> Runtime::Impl::model_of(const KernelOptions& options) {
  try {
    devices_.driver();
    return devices_.model_index(options.device);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::size_t Runtime::Impl::capability_of(const KernelOptions& options) {
  devices_.driver();
  return devices_.capability_index(devices_.model_index(options.device));
}

SignatureSlot& Runtime::Impl::slot_of(const KernelRequest& request, Asked asked) {
  CompileGate::watch_this_thread();
  // Asked for before, and not ready yet.
  if (devices_.ready()) {
    SignatureSlot* known = find_in_memo(request).slot;
    if (known != nullptr && !known->is_refused(capability_of(request.options))) return *known;
  }
  Span span(trace_.sink(), "resolve");
  const table::Template& tmpl = templates_.find(request.name);
  const BucketSteps steps = steps_of(tmpl, request.sizes);
  MemoryTier::Admit admit;
  if (asked != Asked::kAhead) admit = [this](const Signature& made) { churn_.admit(made); };
  // A bad request is refused before a GPU is asked for.
  Signature signature = resolve(tmpl, request.constants, steps);
  const std::optional<std::size_t> model = model_of(request.options);
  if (model) {
    std::optional<int> tune_on;
    if (asked == Asked::kNow) tune_on = request.options.device;
    signature = with_records(
        {std::move(signature), request.constants, steps, *model, request.options.debug, tune_on});
  }
  SignatureSlot& slot = memory_.slot_of(std::move(signature), request.options.debug, admit);
  if (span.has_sink()) span.arg("signature", slot.signature.text());
  // Before anything that may take long, fail or be killed.
  requests_.record(slot.signature, request.constants, steps, request.options.debug);
  templates_.mark_served(tmpl.name);
  if (model) {
    memo_.insert(memo_request(request, *model), tmpl, {&slot, groups_.group_of(tmpl, steps)},
                 devices_.models());
  }
  return slot;
}

Unit Runtime::Impl::render(const Signature& signature, Arch arch, Debug debug) {
  Span span(trace_.sink(), "render");
  Unit unit = make_unit(signature, arch, debug);
  describe(span, unit);
  return unit;
}

Arch Runtime::Impl::arch_for(const Signature& signature, std::size_t capability) {
  return arch_for(signature, devices_.capability(capability));
}

Arch Runtime::Impl::arch_for(const Signature& signature, ComputeCapability gpu) {
  const auto location = source_.toolchain(devices_.driver().version());
  const Target target = signature.tmpl->target;
  Arch arch = choose_arch(target, gpu, std::nullopt);
  if (location) arch = best_arch(target, gpu, location->id.release).value_or(arch);
  check_capability(*signature.tmpl, arch);
  return arch;
}

LoadResult Runtime::Impl::try_load(const Unit& unit, const Artifact& artifact) {
  Span span(trace_.sink(), "load");
  describe(span, unit);
  KernelInfo info;
  info.name = unit.signature->tmpl->name;
  info.signature = unit.name();
  info.symbol = artifact.symbol;
  info.arch = unit.arch.text();
  info.toolchain = artifact.toolchain.text();
  info.params_bytes = artifact.facts.params_bytes;
  info.registers = artifact.facts.registers;
  info.smem_bytes = artifact.facts.smem_bytes;
  info.spill_bytes = artifact.facts.spill_bytes();
  info.max_threads = artifact.facts.max_threads;
  for (std::size_t i = 0; i < unit.signature->values.size(); ++i) {
    info.constants.push_back({unit.signature->tmpl->constants[i].name, unit.signature->values[i]});
  }
  LoadResult result = load_kernel(devices_.driver(), artifact, std::move(info));
  span.result(result.outcome == LoadOutcome::kLoaded ? "loaded" : "refused");
  if (result.outcome == LoadOutcome::kLoaded) {
    kernels_loaded_.fetch_add(1, std::memory_order_relaxed);
    bytes_loaded_.fetch_add(artifact.cubin.size(), std::memory_order_relaxed);
    source_.meters().add(Meter::kCubin, artifact.cubin.size());
  }
  return result;
}

Stats Runtime::Impl::stats() const {
  Stats stats = source_.stats();
  stats.churn_warnings = churn_.warnings();
  stats.churn_refusals = churn_.refusals();
  const HitCounter::ByGroup hits = hits_.by_group();
  stats.memory_hits = std::accumulate(hits.begin(), hits.end(), std::uint64_t{0});
  stats.bucket_requests = groups_.requests(hits);
  stats.memory_kernels = kernels_loaded_.load(std::memory_order_relaxed);
  stats.memory_bytes = bytes_loaded_.load(std::memory_order_relaxed);
  return stats;
}

Counts Runtime::Impl::counts() const {
  const Stats stats = this->stats();
  Counts counts;
  const NamedCount all[] = {{"memory_hits", stats.memory_hits},
                            {"memory_kernels", stats.memory_kernels},
                            {"memory_bytes", stats.memory_bytes},
                            {"disk_hits", stats.disk_hits},
                            {"pack_hits", stats.pack_hits},
                            {"misses", stats.misses},
                            {"compiles", stats.compiles},
                            {"compile_failures", stats.compile_failures},
                            {"saved_us", stats.saved_us},
                            {"published", stats.published},
                            {"publish_failures", stats.publish_failures},
                            {"quarantined", stats.quarantined},
                            {"evicted", stats.evicted},
                            {"evicted_bytes", stats.evicted_bytes},
                            {"lock_waits", stats.lock_waits},
                            {"lock_timeouts", stats.lock_timeouts},
                            {"churn_warnings", stats.churn_warnings},
                            {"churn_refusals", stats.churn_refusals}};
  for (const NamedCount& count : all) counts.add(count.name, count.count);
  for (const NamedHistogram& histogram : stats.histograms) add_histogram(counts, histogram);
  add_buckets(counts, stats.bucket_requests);
  for (const NamedCount& miss : stats.named_misses) {
    counts.add(std::string(kMissPrefix).append(miss.name), miss.count);
  }
  return counts;
}

Kernel Runtime::Impl::ready(detail::LoadedKernel& kernel, const KernelOptions& options) {
  if (options.device < 0) {
    kernel.prepare_if_current();
  } else if (!kernel.is_prepared_for(options.device)) {
    const auto scope = scope_of(options);
    kernel.prepare();
    kernel.set_prepared_for(options.device);
  }
  return kernel.view();
}

std::unique_ptr<ContextScope> Runtime::Impl::scope_of(const KernelOptions& options) {
  Driver& driver = devices_.driver();
  if (options.device < 0 || driver.current_device() == options.device) return nullptr;
  return std::make_unique<ContextScope>(driver, driver.primary_context(options.device));
}

}  // namespace jit::inline v1
