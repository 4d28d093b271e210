// AtomicHistogram: a Histogram that many threads add to.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "jit/stats.hpp"

namespace jit::inline v1 {

// Threads: any. Cost: two atomic additions. A reading amid additions may miss the latest.
class AtomicHistogram {
 public:
  void add(std::uint64_t value) noexcept {
    buckets_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
    sum_.fetch_add(value, std::memory_order_relaxed);
  }

  Histogram read() const noexcept {
    Histogram histogram;
    for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
      histogram.buckets[i] = buckets_[i].load(std::memory_order_relaxed);
    }
    histogram.sum = sum_.load(std::memory_order_relaxed);
    return histogram;
  }

  // The first bucket whose bound is not exceeded.
  static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
    if (value <= 1) return 0;
    const auto bits = static_cast<std::size_t>(std::bit_width(value - 1));
    return bits < Histogram::kBuckets ? bits : Histogram::kBuckets - 1;
  }

 private:
  std::array<std::atomic<std::uint64_t>, Histogram::kBuckets> buckets_{};
  std::atomic<std::uint64_t> sum_{0};
};

}  // namespace jit::inline v1
