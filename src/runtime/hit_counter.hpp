// HitCounter: counts what happens too often for an atomic addition.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace jit::inline v1 {

// HitCounter gives each thread a stripe of its own, found by the thread's pointer: a plain load and
// store, no lock, and no line of the cache that two threads write to. Who owns which stripe is kept
// apart from the counts, so that looking for one's own does not touch what others write. A thread
// that ends leaves its stripe to the next one at its address. Threads beyond the stripes share one,
// with atomic additions.
//
// No thread_local variable: in a library that is loaded late it would cost either a call each time
// or room that the process may not have left.
// Threads: any. Fork: usable in the child.
class HitCounter {
 public:
  // Returns: true at every 4096th hit of a thread.
  // Cost: about 1 ns.
  bool add() noexcept {
    const std::uintptr_t thread = this_thread();
    const std::size_t index = index_of(thread);
    if (owners_[index].load(std::memory_order_relaxed) != thread) [[unlikely]] {
      return add_elsewhere(thread);
    }
    return add_to(stripes_[index]);
  }

  // All hits so far; those of this thread, and of threads that were joined, are among them.
  std::uint64_t total() const noexcept;

 private:
  struct alignas(64) Stripe {
    std::atomic<std::uint64_t> hits{0};
  };
  static constexpr unsigned kIndexBits = 7;
  static constexpr std::size_t kStripes = std::size_t{1} << kIndexBits;
  static constexpr std::size_t kProbes = 8;

  static std::uintptr_t this_thread() noexcept {
#if defined(__x86_64__)
    std::uintptr_t pointer;  // NOLINT: written by the next line
    __asm__("mov %%fs:0, %0" : "=r"(pointer));
    return pointer;
#elif defined(__aarch64__)
    std::uintptr_t pointer;  // NOLINT: written by the next line
    __asm__("mrs %0, tpidr_el0" : "=r"(pointer));
    return pointer;
#else
    return ::pthread_self();
#endif
  }
  // Thread pointers lie a stack apart; the product's upper bits tell them apart all the same.
  static std::size_t index_of(std::uintptr_t thread) noexcept {
    return (std::uint64_t{thread} * 0x9e3779b97f4a7c15U) >> (64 - kIndexBits);
  }
  static bool add_to(Stripe& own) noexcept {
    const std::uint64_t hits = own.hits.load(std::memory_order_relaxed) + 1;
    own.hits.store(hits, std::memory_order_relaxed);
    return hits % 4096 == 0;
  }
  bool add_elsewhere(std::uintptr_t thread) noexcept;

  // Written once each, so every processor keeps its copy.
  alignas(64) std::array<std::atomic<std::uintptr_t>, kStripes> owners_{};
  std::array<Stripe, kStripes> stripes_{};
  Stripe shared_{};
};

}  // namespace jit::inline v1
