#include "runtime/hit_counter.hpp"

namespace jit::inline v1 {

bool HitCounter::add_elsewhere(std::uintptr_t thread) noexcept {
  const std::size_t first = index_of(thread);
  for (std::size_t probe = 0; probe < kProbes; ++probe) {
    const std::size_t index = (first + probe) % kStripes;
    // Looked at first: an exchange takes the line from everybody, also where it fails.
    std::uintptr_t owner = owners_[index].load(std::memory_order_relaxed);
    if (owner == 0 &&
        owners_[index].compare_exchange_strong(owner, thread, std::memory_order_relaxed)) {
      owner = thread;
    }
    if (owner == thread) return add_to(stripes_[index]);
  }
  return (shared_.hits.fetch_add(1, std::memory_order_relaxed) + 1) % 4096 == 0;
}

std::uint64_t HitCounter::total() const noexcept {
  std::uint64_t sum = shared_.hits.load(std::memory_order_relaxed);
  for (const Stripe& stripe : stripes_) sum += stripe.hits.load(std::memory_order_relaxed);
  return sum;
}

}  // namespace jit::inline v1
