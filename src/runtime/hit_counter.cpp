#include "runtime/hit_counter.hpp"

#include <sys/mman.h>

#include <new>

namespace jit::inline v1 {

HitCounter::HitCounter() {
  constexpr int kPrivate = MAP_PRIVATE | MAP_ANONYMOUS;
  void* zeros =
      ::mmap(nullptr, sizeof(Stripe) * (kStripes + 1), PROT_READ | PROT_WRITE, kPrivate, -1, 0);
  if (zeros == MAP_FAILED) throw std::bad_alloc();
  stripes_.reset(static_cast<Stripe*>(zeros));
}

void HitCounter::Unmap::operator()(Stripe* stripes) const noexcept {
  ::munmap(stripes, sizeof(Stripe) * (kStripes + 1));
}

bool HitCounter::add_elsewhere(std::uintptr_t thread, std::uint32_t group) noexcept {
  const std::size_t first = index_of(thread);
  for (std::size_t probe = 0; probe < kProbes; ++probe) {
    const std::size_t index = (first + probe) % kStripes;
    // Looked at first: an exchange takes the line from everybody, also where it fails.
    std::uintptr_t owner = owners_[index].load(std::memory_order_relaxed);
    if (owner == 0 &&
        owners_[index].compare_exchange_strong(owner, thread, std::memory_order_relaxed)) {
      owner = thread;
    }
    if (owner == thread) return add_to(stripes_[index], group);
  }
  std::atomic<std::uint64_t>& shared = stripes_[kStripes].hits[group];
  return (shared.fetch_add(1, std::memory_order_relaxed) + 1) % 4096 == 0;
}

HitCounter::ByGroup HitCounter::by_group() const noexcept {
  ByGroup sums{};
  for (std::size_t i = 0; i <= kStripes; ++i) {
    if (i < kStripes && owners_[i].load(std::memory_order_relaxed) == 0) continue;
    for (std::size_t group = 0; group < kGroups; ++group) {
      sums[group] += stripes_[i].hits[group].load(std::memory_order_relaxed);
    }
  }
  return sums;
}

std::uint64_t HitCounter::total() const noexcept {
  std::uint64_t sum = 0;
  for (const std::uint64_t hits : by_group()) sum += hits;
  return sum;
}

}  // namespace jit::inline v1
