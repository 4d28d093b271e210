// What never waits: a look without a compile, and work in the background.
#include <fmt/format.h>

#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

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
  SignatureSlot& slot = slot_of(request, Asked::kAhead);  // a bad one is refused here and now
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

}  // namespace jit::inline v1
