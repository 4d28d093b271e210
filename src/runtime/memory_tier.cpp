#include "runtime/memory_tier.hpp"

#include <fmt/format.h>

#include <utility>

namespace jit::inline v1 {

Attempt::Failure failure_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Error& error) {
    return {error.code(), error.what(), error.log(), error.reproduction()};
  } catch (const std::exception& error) {
    return {ErrorCode::kInternal, error.what(), {}, {}};
  }
}

namespace {

// The template's address keeps apart templates of one name that were added one after the other.
std::string text_of(const Signature& signature, Debug debug) {
  return fmt::format("{}#{}#{}", signature.text(), name_of(debug),
                     static_cast<const void*>(signature.tmpl));
}

}  // namespace

MemoryTier::MemoryTier() {
  auto changed = std::make_unique<std::condition_variable>();
  changed_ = changed.get();
  join();  // which may want memory
  static_cast<void>(changed.release());
}

MemoryTier::~MemoryTier() {
  leave();
  // Unloading after exit has begun would call a driver that may be gone.
  if (process_is_exiting()) {
    for (auto& kernel : kernels_) static_cast<void>(kernel.release());
  }
  delete changed_;
}

SignatureSlot* MemoryTier::known_slot(const std::string& text) {
  const std::lock_guard lock(mutex_);
  const auto known = by_text_.find(text);
  return known == by_text_.end() ? nullptr : known->second;
}

bool MemoryTier::is_refused(const Signature& signature, Debug debug, std::size_t capability) {
  const SignatureSlot* known = known_slot(text_of(signature, debug));
  return known != nullptr && known->is_refused(capability);
}

SignatureSlot& MemoryTier::slot_of(Signature signature, Debug debug, const Admit& admit) {
  std::string text = text_of(signature, debug);
  if (SignatureSlot* known = known_slot(text)) return *known;
  if (admit) admit(signature);
  const std::lock_guard lock(mutex_);
  const auto known = by_text_.find(text);  // by another thread meanwhile
  if (known != by_text_.end()) return *known->second;
  SignatureSlot& slot = slots_.emplace_back();
  slot.signature = std::move(signature);
  slot.debug = debug;
  by_text_.emplace(std::move(text), &slot);
  return slot;
}

MemoryTier::Claim MemoryTier::claim(SignatureSlot& slot, std::size_t capability) {
  std::unique_lock lock(mutex_);
  for (;;) {
    if (slot.loaded[capability].load(std::memory_order_acquire) != nullptr) {
      return {*this, slot, capability, false, nullptr};
    }
    const std::shared_ptr<Attempt> attempt = slot.attempts[capability];
    if (attempt == nullptr) {
      slot.attempts[capability] = std::make_shared<Attempt>();
      return {*this, slot, capability, true, slot.attempts[capability]};
    }
    changed_->wait(lock, [&] { return attempt->done; });
    if (const auto& failure = attempt->failure) {
      throw Error(failure->code, failure->message, failure->log, failure->reproduction);
    }
  }
}

std::optional<MemoryTier::Claim> MemoryTier::try_claim(SignatureSlot& slot,
                                                       std::size_t capability) {
  const std::lock_guard lock(mutex_);
  if (slot.loaded[capability].load(std::memory_order_acquire) != nullptr) {
    return Claim(*this, slot, capability, false, nullptr);
  }
  if (slot.attempts[capability] != nullptr) return std::nullopt;
  slot.attempts[capability] = std::make_shared<Attempt>();
  return Claim(*this, slot, capability, true, slot.attempts[capability]);
}

void MemoryTier::before_fork() noexcept { mutex_.lock(); }

void MemoryTier::after_fork(bool in_child) noexcept {
  if (in_child) {
    for (SignatureSlot& slot : slots_) slot.attempts = {};
    changed_ = new std::condition_variable;
  }
  mutex_.unlock();
}

MemoryTier::Claim::Claim(MemoryTier& tier, SignatureSlot& slot, std::size_t capability, bool leads,
                         std::shared_ptr<Attempt> attempt)
    : tier_(tier),
      slot_(slot),
      capability_(capability),
      leads_(leads),
      attempt_(std::move(attempt)) {}

MemoryTier::Claim::Claim(Claim&& other) noexcept
    : tier_(other.tier_),
      slot_(other.slot_),
      capability_(other.capability_),
      leads_(std::exchange(other.leads_, false)),
      attempt_(std::move(other.attempt_)) {}

MemoryTier::Claim::~Claim() {
  if (attempt_ == nullptr) return;
  finish(Attempt::Failure{
      ErrorCode::kInternal, "get a kernel: its leader ended without an outcome", {}, {}});
}

detail::LoadedKernel& MemoryTier::Claim::serve(std::unique_ptr<detail::LoadedKernel> kernel) {
  detail::LoadedKernel& loaded = *kernel;
  {
    const std::lock_guard lock(tier_.mutex_);
    tier_.kernels_.push_back(std::move(kernel));
    slot_.loaded[capability_].store(&loaded, std::memory_order_release);
  }
  finish(std::nullopt);
  return loaded;
}

void MemoryTier::Claim::fail(const std::exception_ptr& error) {
  if (attempt_ != nullptr) finish(failure_of(error));
}

void MemoryTier::Claim::abandon() { finish(std::nullopt); }

void MemoryTier::Claim::finish(std::optional<Attempt::Failure> failure) {
  const std::lock_guard lock(tier_.mutex_);
  attempt_->done = true;
  attempt_->failure = std::move(failure);
  // In a forked child the slot may have a younger attempt by now.
  if (slot_.attempts[capability_] == attempt_) slot_.attempts[capability_] = nullptr;
  attempt_ = nullptr;
  tier_.changed_->notify_all();
}

}  // namespace jit::inline v1
