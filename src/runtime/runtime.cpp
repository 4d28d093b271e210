#include "jit/runtime.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "cache/statistics.hpp"
#include "compile/compile_gate.hpp"
#include "runtime/runtime_impl.hpp"
#include "signature/manifest.hpp"

namespace jit::inline v1 {
namespace {

// What the library itself calls may throw what it likes; callers get jit::Error and nothing else.
template <class Call>
auto guarded(const Call& call) -> decltype(call()) {
  try {
    return call();
  } catch (const Error&) {
    throw;
  } catch (const std::filesystem::filesystem_error& error) {
    throw Error(ErrorCode::kIo, fmt::format("read or write a file: {}", error.what()));
  } catch (const std::exception& error) {
    throw Error(
        ErrorCode::kInternal,
        fmt::format("ask the system: {}; free memory or threads and try again", error.what()));
  }
}

std::span<const Constant> span_of(std::initializer_list<Constant> constants) {
  return {constants.begin(), constants.size()};
}

// A deadline that far away can still be added to a clock.
RuntimeOptions with_finite_patience(RuntimeOptions options) {
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  options.lock_timeout = std::min(options.lock_timeout, kLongest);
  return options;
}

}  // namespace

Runtime::Impl::Impl(RuntimeOptions options)
    : options_(with_finite_patience(std::move(options))),
      logger_(options_.log_sink, options_.log_level),
      templates_({options_.template_path, options_.cuda_home}),
      devices_(options_.driver),
      source_(options_, logger_),
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
  background_.stop();
  source_.end_housekeeping();
}

MemoRequest Runtime::Impl::memo_request(const KernelRequest& request) {
  return {request.name,
          request.constants,
          {request.sizes.begin(), request.sizes.size()},
          request.options.debug};
}

detail::LoadedKernel* Runtime::Impl::find_in_memory(const KernelRequest& request) {
  const SignatureSlot* slot = memo_.find(memo_request(request));
  if (slot == nullptr || !devices_.ready()) return nullptr;
  const std::size_t capability = devices_.capability_index(request.options.device);
  return slot->loaded[capability].load(std::memory_order_acquire);
}

SignatureSlot& Runtime::Impl::slot_of(const KernelRequest& request) {
  CompileGate::watch_this_thread();
  const table::Template& tmpl = templates_.find(request.name);
  SignatureSlot& slot =
      memory_.slot_of(resolve(tmpl, request.constants, request.sizes), request.options.debug);
  templates_.mark_served(tmpl.name);
  memo_.insert(memo_request(request), tmpl, slot);
  return slot;
}

Arch Runtime::Impl::arch_for(const Signature& signature, std::size_t capability) {
  const auto location = source_.toolchain(devices_.driver().version());
  const Target target = signature.tmpl->target;
  const ComputeCapability gpu = devices_.capability(capability);
  Arch arch = choose_arch(target, gpu, std::nullopt);
  if (location) arch = best_arch(target, gpu, location->id.release).value_or(arch);
  check_capability(*signature.tmpl, arch);
  return arch;
}

LoadResult Runtime::Impl::try_load(const Unit& unit, const Artifact& artifact) {
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
  if (result.outcome == LoadOutcome::kLoaded) {
    kernels_loaded_.fetch_add(1, std::memory_order_relaxed);
    bytes_loaded_.fetch_add(artifact.cubin.size(), std::memory_order_relaxed);
  }
  return result;
}

Stats Runtime::Impl::stats() const {
  Stats stats = source_.stats();
  stats.memory_hits = hits_.total();
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
                            {"misses", stats.misses},
                            {"compiles", stats.compiles},
                            {"compile_failures", stats.compile_failures},
                            {"compile_us", stats.compile_us},
                            {"saved_us", stats.saved_us},
                            {"published", stats.published},
                            {"publish_failures", stats.publish_failures},
                            {"quarantined", stats.quarantined},
                            {"evicted", stats.evicted},
                            {"evicted_bytes", stats.evicted_bytes},
                            {"lock_waits", stats.lock_waits},
                            {"lock_timeouts", stats.lock_timeouts}};
  for (const NamedCount& count : all) counts.add(count.name, count.count);
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

std::optional<Kernel> Runtime::Impl::try_get(const KernelRequest& request) {
  if (detail::LoadedKernel* kernel = find_in_memory(request)) {
    if (hits_.add()) recorder_.tick();
    return ready(*kernel, request.options);
  }
  SignatureSlot& slot = slot_of(request);
  devices_.driver();
  const std::size_t capability = devices_.capability_index(request.options.device);
  const auto scope = scope_of(request.options);
  auto claim = memory_.try_claim(slot, capability);
  if (!claim) return std::nullopt;
  if (!claim->leads()) {
    hits_.add();
    return ready(*slot.loaded[capability].load(std::memory_order_acquire), request.options);
  }
  try {
    const Unit unit = make_unit(slot.signature, arch_for(slot.signature, capability), slot.debug);
    std::string_view miss;
    auto kernel = find_and_load(unit, miss);
    if (!kernel) kernel = find_made_elsewhere(unit, slot.debug, capability, miss);
    recorder_.tick();
    if (kernel) return claim->serve(std::move(kernel)).view();
    source_.count_miss(miss);
    claim->abandon();
    return std::nullopt;
  } catch (...) {
    claim->fail(std::current_exception());
    throw;
  }
}

void Runtime::Impl::prefetch(const KernelRequest& request) {
  SignatureSlot& slot = slot_of(request);  // a bad request is refused here and now
  devices_.driver();
  const std::size_t capability = devices_.capability_index(request.options.device);
  // Claimed here, so that the worker never waits for a caller who waits for the worker.
  auto claimed = memory_.try_claim(slot, capability);
  if (!claimed || !claimed->leads()) return;  // somebody is at it, or it is there
  Prefetch job{std::make_shared<MemoryTier::Claim>(std::move(*claimed)),
               &slot,
               capability,
               devices_.driver().current_context(),
               request.options,
               std::chrono::steady_clock::now() + options_.lock_timeout};
  background_.post([this, job = std::move(job)] { advance(job); });
}

void Runtime::Impl::advance(const Prefetch& job) {
  try {
    std::optional<ContextScope> current;
    if (job.context != nullptr) current.emplace(devices_.driver(), job.context);
    const auto scope = scope_of(job.options);
    const bool late = std::chrono::steady_clock::now() >= job.deadline;
    // While another process makes it, the other prefetches go on.
    if (build(*job.claim, *job.slot, job.capability, late ? Patience::kWait : Patience::kAsk)) {
      return;
    }
    background_.post([this, job] { advance(job); });
  } catch (const std::exception& error) {
    job.claim->fail(std::current_exception());
    const auto* known = dynamic_cast<const Error*>(&error);
    if (known != nullptr && known->code() == ErrorCode::kShuttingDown) return;  // nobody's loss
    logger_.warning(fmt::format("prefetch {}: {}", job.slot->signature.text(), error.what()));
  }
}

Runtime::Runtime(RuntimeOptions options)
    : impl_(guarded([&] { return std::make_unique<Impl>(std::move(options)); })) {}
Runtime::~Runtime() = default;

Runtime& Runtime::shared() {
  // Never destroyed: kernels stay valid until the process ends, and nothing calls a driver that
  // has shut down before us.
  static Runtime* const instance = new Runtime(RuntimeOptions::from_environment());
  return *instance;
}

Kernel Runtime::get_kernel(std::string_view name, std::initializer_list<Constant> constants,
                           const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->get({name, span_of(constants), sizes, options}); });
}

Kernel Runtime::get_kernel(std::string_view name, std::span<const Constant> constants,
                           const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->get({name, constants, sizes, options}); });
}

std::optional<Kernel> Runtime::try_get_kernel(std::string_view name,
                                              std::initializer_list<Constant> constants,
                                              const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->try_get({name, span_of(constants), sizes, options}); });
}

std::optional<Kernel> Runtime::try_get_kernel(std::string_view name,
                                              std::span<const Constant> constants,
                                              const Sizes& sizes, const KernelOptions& options) {
  return guarded([&] { return impl_->try_get({name, constants, sizes, options}); });
}

void Runtime::prefetch(std::string_view name, std::initializer_list<Constant> constants,
                       const Sizes& sizes, const KernelOptions& options) {
  guarded([&] { impl_->prefetch({name, span_of(constants), sizes, options}); });
}

void Runtime::prefetch(std::string_view name, std::span<const Constant> constants,
                       const Sizes& sizes, const KernelOptions& options) {
  guarded([&] { impl_->prefetch({name, constants, sizes, options}); });
}

PrecompileReport Runtime::precompile(std::string_view name,
                                     std::initializer_list<Constant> constants, const Sizes& sizes,
                                     std::string_view arch, Debug debug) {
  return precompile(name, span_of(constants), sizes, arch, debug);
}

PrecompileReport Runtime::precompile(std::string_view name, std::span<const Constant> constants,
                                     const Sizes& sizes, std::string_view arch, Debug debug) {
  const auto parsed = Arch::parse(arch);
  if (!parsed) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("precompile {}: \"{}\" is no architecture; expected one such as sm_90a",
                            name, arch));
  }
  if (!is_known(*parsed)) {
    throw Error(ErrorCode::kUnsupportedArch,
                fmt::format("precompile {}: no such architecture as {}; known are {}", name, arch,
                            known_archs_text()));
  }
  return guarded([&] {
    const table::Template& tmpl = impl_->templates().find(name);
    const Signature signature = resolve(tmpl, constants, sizes);
    impl_->templates().mark_served(name);
    return impl_->precompile(signature, *parsed, debug);
  });
}

void Runtime::add_templates(const std::filesystem::path& directory) {
  guarded([&] { impl_->templates().add(directory); });
}

Stats Runtime::stats() const { return impl_->stats(); }
const RuntimeOptions& Runtime::options() const noexcept { return impl_->options(); }

Kernel get_kernel(std::string_view name, std::initializer_list<Constant> constants,
                  const Sizes& sizes, const KernelOptions& options) {
  return Runtime::shared().get_kernel(name, constants, sizes, options);
}

Kernel get_kernel(std::string_view name, std::span<const Constant> constants, const Sizes& sizes,
                  const KernelOptions& options) {
  return Runtime::shared().get_kernel(name, constants, sizes, options);
}

std::optional<Kernel> try_get_kernel(std::string_view name,
                                     std::initializer_list<Constant> constants, const Sizes& sizes,
                                     const KernelOptions& options) {
  return Runtime::shared().try_get_kernel(name, constants, sizes, options);
}

std::optional<Kernel> try_get_kernel(std::string_view name, std::span<const Constant> constants,
                                     const Sizes& sizes, const KernelOptions& options) {
  return Runtime::shared().try_get_kernel(name, constants, sizes, options);
}

void prefetch(std::string_view name, std::initializer_list<Constant> constants, const Sizes& sizes,
              const KernelOptions& options) {
  Runtime::shared().prefetch(name, constants, sizes, options);
}

void prefetch(std::string_view name, std::span<const Constant> constants, const Sizes& sizes,
              const KernelOptions& options) {
  Runtime::shared().prefetch(name, constants, sizes, options);
}

}  // namespace jit::inline v1
