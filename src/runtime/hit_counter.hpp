// HitCounter: counts what happens too often for an atomic addition.
#pragma once

#include <pthread.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace jit::inline v1 {

// HitCounter gives each thread a stripe of its own, found by the thread's pointer: a plain load and
// store, no lock, and no line of the cache that two threads write to. Who owns which stripe is kept
// apart from the counts, so that looking for one's own does not touch what others write. A thread
// that ends leaves its stripe to the next one at its address. Threads beyond the stripes share one,
// with atomic additions.
//
// Hits are counted by group: a small number that says what the request was like. A stripe has one
// count for each, and their sum is counted nowhere, so that a group costs a hit no more than the
// place it is written to.
//
// No thread_local variable: in a library that is loaded late it would cost either a call each time
// or room that the process may not have left.
// Threads: any. Fork: usable in the child.
class HitCounter {
 public:
  static constexpr std::uint32_t kGroups = 64;
  using ByGroup = std::array<std::uint64_t, kGroups>;

  HitCounter();

  // Returns: true at every 4096th hit of a thread in one group. Requires: group < kGroups.
  // Cost: about 1 ns.
  bool add(std::uint32_t group = 0) noexcept {
    const std::uintptr_t thread = this_thread();
    const std::size_t index = index_of(thread);
    if (owners_[index].load(std::memory_order_relaxed) != thread) [[unlikely]] {
      return add_elsewhere(thread, group);
    }
    return add_to(stripes_[index], group);
  }

  // All hits so far; those of this thread, and of threads that were joined, are among them.
  ByGroup by_group() const noexcept;
  std::uint64_t total() const noexcept;

 private:
  struct alignas(64) Stripe {
    std::array<std::atomic<std::uint64_t>, kGroups> hits;
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
  static bool add_to(Stripe& own, std::uint32_t group) noexcept {
    const std::uint64_t hits = own.hits[group].load(std::memory_order_relaxed) + 1;
    own.hits[group].store(hits, std::memory_order_relaxed);
    return hits % 4096 == 0;
  }
  bool add_elsewhere(std::uintptr_t thread, std::uint32_t group) noexcept;
  struct Unmap {
    void operator()(Stripe* stripes) const noexcept;
  };

  // Written once each, so every processor keeps its copy.
  alignas(64) std::array<std::atomic<std::uintptr_t>, kStripes> owners_{};
  // kStripes, and the one that is shared. Mapped, so that those without an owner take no memory and
  // a Runtime that is made does not wait for them.
  std::unique_ptr<Stripe[], Unmap> stripes_;
};

}  // namespace jit::inline v1
