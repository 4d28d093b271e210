// The story of one call:
//   request -> signature -> memory -> [one caller per signature goes on] -> render -> key -> disk
//   -> packs -> compile -> check -> load -> serve -> publish
#include <fmt/format.h>

#include "compile/cubin_check.hpp"
#include "runtime/runtime_impl.hpp"
#include "runtime/variant_facts.hpp"

namespace jit::inline v1 {

Kernel Runtime::Impl::get(const KernelRequest& request) {
  // A warm process stops here: nothing is rendered, hashed, locked or allocated.
  const auto [kernel, group] = find_in_memory(request);
  if (kernel != nullptr) {
    if (hits_.add(group)) recorder_.tick();
    return ready(*kernel, request.options);
  }
  return get_slowly(request);
}

Kernel Runtime::Impl::get_slowly(const KernelRequest& request) {
  Span span(trace_.sink(), "get");
  // Whatever may vary per request is refused or turned into a bucket here.
  SignatureSlot& slot = slot_of(request);
  if (span.has_sink()) span.arg("signature", slot.signature.text());
  try {
    return get_of(slot, request);
  } catch (const Error&) {
    // A tuning record's choice that does not compile is passed over from now on.
    SignatureSlot& other = slot_of(request);
    if (&other == &slot) throw;
    return get_of(other, request);
  }
}

Kernel Runtime::Impl::get_of(SignatureSlot& slot, const KernelRequest& request) {
  const std::size_t capability = capability_of(request.options);
  const auto scope = scope_of(request.options);
  // One caller per signature goes on; the others wait for it and share its outcome.
  MemoryTier::Claim claim = claim_in_memory(slot, capability);
  if (claim.leads()) {
    build(claim, slot, capability, {});
    groups_.add(group_of(request));
  } else {
    hits_.add(group_of(request));
  }
  recorder_.tick();
  return ready(*slot.loaded[capability].load(std::memory_order_acquire), request.options);
}

MemoryTier::Claim Runtime::Impl::claim_in_memory(SignatureSlot& slot, std::size_t capability) {
  Span span(trace_.sink(), "wait");
  MemoryTier::Claim claim = memory_.claim(slot, capability);
  if (claim.leads()) span.forget();
  else span.result("another thread");
  return claim;
}

std::optional<WarmUpOutcome> Runtime::Impl::build(MemoryTier::Claim& claim, SignatureSlot& slot,
                                                  std::size_t capability, Patience patience) {
  try {
    const Stopwatch begun;
    const Arch arch = arch_for(slot.signature, capability);
    // The text itself is rendered and hashed, so a key never rests on a belief about it.
    const Unit unit = render(slot.signature, arch, slot.debug);
    std::string_view miss;  // its name: that of the first look
    // A restarted process stops here, without the compiler.
    if (serve(claim, find_and_load(unit, miss))) return WarmUpOutcome::kFound;
    // Where nothing can be compiled, whatever runs on this GPU will do.
    if (serve(claim, find_made_elsewhere(unit, slot.debug, capability, miss))) {
      return WarmUpOutcome::kFound;
    }
    require_compilable(unit, miss);
    // One process per node goes on; the others find its entry when they get their turn.
    const FlightLock flight =
        patience.waits ? source_.claim(unit, patience.passed) : source_.try_claim(unit);
    if (flight.state() == LockState::kTimedOut && !patience.waits) return std::nullopt;
    // Looked for again even if nobody was waited for: its maker may have come and gone in between.
    if (flight.state() != LockState::kUnavailable && serve(claim, find_and_load(unit, miss))) {
      return WarmUpOutcome::kFound;
    }
    source_.count_miss(miss);
    // Compiled and checked: what leaves the compiler is a cubin of this symbol for this arch.
    const Artifact artifact = source_.compile(unit);
    // The kernel is served before the disk is asked, so that no disk stands in its way.
    claim.serve(load(unit, artifact));
    source_.meters().add(Meter::kMiss, begun.us());
    source_.publish(unit, artifact);
    recorder_.write();
    return WarmUpOutcome::kCompiled;
  } catch (...) {
    note_refusal(slot, capability);
    // Nothing was published or remembered: the next call may try again.
    claim.fail(std::current_exception());
    throw;
  }
}

void Runtime::Impl::note_refusal(SignatureSlot& slot, std::size_t capability) {
  try {
    throw;
  } catch (const Error& error) {
    if (is_refusal(error)) slot.refused.fetch_or(1U << capability, std::memory_order_acq_rel);
  } catch (...) {
  }
}

bool Runtime::Impl::serve(MemoryTier::Claim& claim, std::unique_ptr<detail::LoadedKernel> kernel) {
  if (kernel == nullptr) return false;
  claim.serve(std::move(kernel));
  return true;
}

void Runtime::Impl::require_compilable(const Unit& unit, std::string_view miss) {
  try {
    if (options_.mode == Mode::kFrozen) throw source_.frozen_miss(unit);
    source_.require_loadable(unit);
  } catch (...) {
    source_.count_miss(miss);
    throw;
  }
}

std::unique_ptr<detail::LoadedKernel> Runtime::Impl::find_and_load(const Unit& unit,
                                                                   std::string_view& miss) {
  const Stopwatch begun;
  const auto found = source_.find(unit, ArtifactSource::Purpose::kLoad, &miss);
  if (!found) return nullptr;
  LoadResult result = try_load(unit, found->artifact);
  if (result.outcome == LoadOutcome::kLoaded) {
    source_.count_hit(*found);
    source_.meters().add(Meter::kDiskHit, begun.us());
    return std::move(result.kernel);
  }
  if (result.outcome != LoadOutcome::kRefused) result.raise();
  // Only bytes that are wrong in themselves are thrown away; a refusal of sound ones is reported.
  const CubinCheck check = check_cubin(found->artifact.cubin, unit.arch, found->artifact.symbol);
  if (check) result.raise();
  logger_.warning(fmt::format("load {}: {}; the entry is set aside and built again", unit.name(),
                              check.reason));
  source_.set_aside(unit, *found);
  if (miss.empty()) miss = name_of(MissReason::kDamaged);
  return nullptr;
}

std::unique_ptr<detail::LoadedKernel> Runtime::Impl::find_made_elsewhere(const Unit& unit,
                                                                         Debug debug,
                                                                         std::size_t capability,
                                                                         std::string_view& miss) {
  if (source_.can_compile(unit.arch)) return nullptr;
  const table::Template& tmpl = *unit.signature->tmpl;
  for (const Arch arch : archs_that_serve(tmpl.target, devices_.capability(capability))) {
    if (arch == unit.arch || arch.number() < tmpl.min_capability) continue;
    if (auto kernel = find_and_load(render(*unit.signature, arch, debug), miss)) return kernel;
  }
  return nullptr;
}

std::unique_ptr<detail::LoadedKernel> Runtime::Impl::load(const Unit& unit,
                                                          const Artifact& artifact) {
  LoadResult result = try_load(unit, artifact);
  if (result.outcome != LoadOutcome::kLoaded) result.raise();
  return std::move(result.kernel);
}

}  // namespace jit::inline v1
