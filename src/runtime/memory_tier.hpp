// Memory tier: one slot per signature, and who is at work on it.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "load/loaded_kernel.hpp"
#include "runtime/fork_support.hpp"
#include "signature/key.hpp"
#include "signature/signature.hpp"

namespace jit::inline v1 {

// GPUs of more different capabilities than this share no process that we know of.
inline constexpr std::size_t kMaxCapabilities = 8;

// One attempt to get a kernel; its outcome reaches everybody who waits for it. Each of them throws
// an exception of his own: one object in several threads is a race to those who watch for races.
struct Attempt {
  struct Failure {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
    std::string log;
    std::string reproduction;
  };
  bool done = false;
  std::optional<Failure> failure;
};

// What was thrown, as one that a later caller may throw again.
Attempt::Failure failure_of(const std::exception_ptr& thrown);

// SignatureSlot holds the loaded kernels of one signature, one per compute capability.
struct SignatureSlot {
  Signature signature;
  Debug debug = Debug::kNone;
  // Lock-free for readers; set once and never cleared.
  std::array<std::atomic<detail::LoadedKernel*>, kMaxCapabilities> loaded{};
  // By bit, the capabilities that it does not compile for, as it stands.
  std::atomic<std::uint32_t> refused{0};
  bool is_refused(std::size_t capability) const noexcept {
    return (refused.load(std::memory_order_acquire) >> capability & 1) != 0;
  }
  // Under the tier's mutex: who is at work.
  std::array<std::shared_ptr<Attempt>, kMaxCapabilities> attempts{};
};

// MemoryTier only grows: slots and kernels live until it ends.
// Threads: any. Fork: a child forgets attempts, whose threads it does not have.
class MemoryTier final : private ForkAware {
 public:
  MemoryTier();
  ~MemoryTier() override;

  // The slot of a signature; made if there is none, unless `admit`, called before that and with no
  // lock held, throws.
  using Admit = std::function<void(const Signature&)>;
  SignatureSlot& slot_of(Signature signature, Debug debug, const Admit& admit = {});

  // Whether this signature was found not to compile, see SignatureSlot::refused.
  bool is_refused(const Signature& signature, Debug debug, std::size_t capability);

  // Claim is the right to work on a slot, or the outcome of somebody else's work.
  class Claim {
   public:
    Claim(Claim&& other) noexcept;
    Claim& operator=(Claim&&) = delete;
    ~Claim();  // a leader that ends without serve() or fail() fails with kInternal
    bool leads() const noexcept { return leads_; }
    // Hands the kernel to the tier and to all waiters. Requires: leads().
    detail::LoadedKernel& serve(std::unique_ptr<detail::LoadedKernel> kernel);
    // Hands the error to all waiters; the next call may try again. Does nothing after serve().
    void fail(const std::exception_ptr& error);
    // Gives the claim up without an outcome; somebody who waits may lead. Requires: leads().
    void abandon();

   private:
    friend class MemoryTier;
    Claim(MemoryTier& tier, SignatureSlot& slot, std::size_t capability, bool leads,
          std::shared_ptr<Attempt> attempt);
    void finish(std::optional<Attempt::Failure> failure);
    MemoryTier& tier_;
    SignatureSlot& slot_;
    std::size_t capability_;
    bool leads_;
    std::shared_ptr<Attempt> attempt_;
  };

  // Leads if nobody is at work and the kernel is not there; else waits for the one who is, and
  // throws that one's error. A Claim that does not lead means that the kernel is there.
  Claim claim(SignatureSlot& slot, std::size_t capability);
  // The same, but nullopt instead of waiting.
  std::optional<Claim> try_claim(SignatureSlot& slot, std::size_t capability);

 private:
  void before_fork() noexcept override;
  void after_fork(bool in_child) noexcept override;
  SignatureSlot* known_slot(const std::string& text);

  std::mutex mutex_;
  std::condition_variable* changed_;  // made anew in a child
  std::map<std::string, SignatureSlot*> by_text_;
  std::deque<SignatureSlot> slots_;
  std::vector<std::unique_ptr<detail::LoadedKernel>> kernels_;
};

}  // namespace jit::inline v1
