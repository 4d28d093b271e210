// What never waits: a look into memory, and work in the background.
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

std::optional<Kernel> Runtime::Impl::try_get(const KernelRequest& request) {
  const auto [known, group] = find_in_memory(request);
  if (known != nullptr) {
    if (hits_.add(group)) recorder_.tick();
    return ready(*known, request.options);
  }
  // One who comes again while the kernel is under way finds what it resolved to.
  SignatureSlot& slot = slot_of(request, Asked::kNowWithoutWait);
  const Pursuit wanted = pursuit_of(slot, request.options);
  // Another spelling may have got it.
  if (auto* kernel = slot.loaded[wanted.capability].load(std::memory_order_acquire)) {
    hits_.add(group_of(request));
    return ready(*kernel, request.options);
  }
  // No disk, no driver's load and no compiler stands in the caller's way.
  pursuits_.start_quietly(wanted);
  return std::nullopt;
}

void Runtime::Impl::prefetch(const KernelRequest& request) {
  SignatureSlot& slot = slot_of(request, Asked::kAhead);  // a bad one is refused here and now
  pursuits_.start(pursuit_of(slot, request.options));
}

Pursuit Runtime::Impl::pursuit_of(SignatureSlot& slot, const KernelOptions& options) {
  Pursuit pursuit;
  pursuit.slot = &slot;
  pursuit.context = devices_.driver().current_context();
  pursuit.capability = capability_of(options);
  pursuit.options = options;
  return pursuit;
}

std::unique_ptr<ContextScope> Runtime::Impl::context_of(const Pursuit& pursuit) {
  if (process_is_exiting()) {
    throw Error(ErrorCode::kShuttingDown,
                "get " + pursuit.slot->signature.text() + ": process exit has begun");
  }
  if (pursuit.context == nullptr) return nullptr;
  return std::make_unique<ContextScope>(devices_.driver(), pursuit.context);
}

std::chrono::milliseconds Runtime::Impl::waited(const Pursuit& pursuit) {
  using std::chrono::steady_clock;
  if (!pursuit.waits_since) return std::chrono::milliseconds(0);
  return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() -
                                                               *pursuit.waits_since);
}

bool Runtime::Impl::is_made_elsewhere(const Pursuit& pursuit) {
  const auto& loaded = pursuit.slot->loaded[pursuit.capability];
  return pursuit.waits_since && loaded.load(std::memory_order_acquire) == nullptr &&
         waited(pursuit) < source_.patience() && source_.is_claimed(pursuit.key);
}

void Runtime::Impl::count_waited(const Pursuit& pursuit, std::chrono::milliseconds passed) {
  if (!pursuit.waits_since) return;
  source_.meters().add(Meter::kLockWait, static_cast<std::uint64_t>(passed.count()) * 1000);
}

StepResult Runtime::Impl::look_for(Pursuit& pursuit) {
  const auto context = context_of(pursuit);
  // Whoever waits asks every few milliseconds: by a lock, since to render and to read would take
  // the processor from those who compile.
  if (is_made_elsewhere(pursuit)) return {NextStep::kLater};
  const auto device = scope_of(pursuit.options);
  SignatureSlot& slot = *pursuit.slot;
  auto claim = memory_.try_claim(slot, pursuit.capability);
  if (!claim) return {NextStep::kLater};
  if (!claim->leads()) {
    ready(*slot.loaded[pursuit.capability].load(std::memory_order_acquire), pursuit.options);
    return {NextStep::kNone, WarmUpOutcome::kInMemory};
  }
  try {
    const Unit unit =
        render(slot.signature, arch_for(slot.signature, pursuit.capability), slot.debug);
    std::string_view miss;
    if (serve(*claim, find_and_load(unit, miss)) ||
        serve(*claim, find_made_elsewhere(unit, slot.debug, pursuit.capability, miss))) {
      recorder_.tick();
      count_waited(pursuit, waited(pursuit));
      return {NextStep::kNone,
              pursuit.missed ? WarmUpOutcome::kMadeElsewhere : WarmUpOutcome::kFound};
    }
    require_compilable(unit, miss);
    pursuit.missed = true;
    // Not kept until it is this one's turn to be compiled: a caller who waits for it goes first.
    claim->abandon();
    return {NextStep::kMake};
  } catch (...) {
    claim->fail(std::current_exception());
    throw;
  }
}

StepResult Runtime::Impl::make(Pursuit& pursuit) {
  const auto context = context_of(pursuit);
  const auto device = scope_of(pursuit.options);
  SignatureSlot& slot = *pursuit.slot;
  // What another process made meanwhile is loaded on the other thread, beside the next compile.
  // Once: what is found and cannot be loaded may stay where it is.
  const Unit unit =
      make_unit(slot.signature, arch_for(slot.signature, pursuit.capability), slot.debug);
  if (!pursuit.came_up && source_.find(unit)) {
    pursuit.came_up = true;
    return {NextStep::kLook};
  }
  auto claim = memory_.try_claim(slot, pursuit.capability);
  if (!claim) return {NextStep::kLater};
  if (!claim->leads()) return {NextStep::kLook};
  Patience patience{false, waited(pursuit)};
  patience.waits = pursuit.waits_since && patience.passed >= source_.patience();
  if (const auto outcome = build(*claim, slot, pursuit.capability, patience)) {
    count_waited(pursuit, patience.passed);
    return {NextStep::kNone,
            *outcome == WarmUpOutcome::kFound ? WarmUpOutcome::kMadeElsewhere : *outcome};
  }
  // While another process makes it, the others go on.
  claim->abandon();
  if (!pursuit.waits_since) {
    pursuit.waits_since = std::chrono::steady_clock::now();
    pursuit.key = unit.key;
    source_.count_wait();
  }
  return {NextStep::kLater};
}

std::vector<Pursuit> Runtime::Impl::pursuits_of(std::span<const KernelSpec> kernels) {
  std::vector<Pursuit> pursuits;
  for (const KernelSpec& kernel : kernels) {
    SignatureSlot& slot = slot_of(
        {kernel.name(), kernel.constants(), kernel.sizes(), kernel.options()}, Asked::kAhead);
    pursuits.push_back(pursuit_of(slot, kernel.options()));
  }
  return pursuits;
}

}  // namespace jit::inline v1
