// Stats: what a Runtime did, as numbers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "jit/abi.hpp"

namespace jit::inline v1 {

// A number and what it counts.
struct NamedCount {
  std::string_view name;
  std::uint64_t count = 0;
};

// Histogram counts values by powers of two: buckets[i] those that are at most 2^i and fit no
// smaller one, the last bucket all that are larger.
struct Histogram {
  static constexpr std::size_t kBuckets = 32;

  std::array<std::uint64_t, kBuckets> buckets{};
  std::uint64_t sum = 0;  // of the values

  // The largest value of a bucket; UINT64_MAX for the last.
  static constexpr std::uint64_t bound(std::size_t bucket) noexcept {
    return bucket + 1 < kBuckets ? std::uint64_t{1} << bucket : UINT64_MAX;
  }
  constexpr std::uint64_t count() const noexcept {
    std::uint64_t all = 0;
    for (const std::uint64_t bucket : buckets) all += bucket;
    return all;
  }
  // What at least that share of the values do not exceed: the bound of a bucket; 0 without values.
  // Requires: 0 < share <= 1.
  constexpr std::uint64_t quantile(double share) const noexcept {
    const double wanted = share * static_cast<double>(count());
    double seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += static_cast<double>(buckets[i]);
      if (seen > 0 && seen >= wanted) return bound(i);
    }
    return 0;
  }
};

struct NamedHistogram {
  std::string_view name;
  Histogram histogram;
};

// How many requests one step of a template's bucket has served.
struct BucketRequests {
  std::string_view template_name;
  std::string_view bucket;
  std::string_view step;
  std::uint64_t requests = 0;
};

// Stats count what a Runtime did; each number only grows. `cubinet cache stats` adds them up over
// all processes that used a cache directory.
//
// A request ends as a hit in memory, on disk or in a pack, or as a miss, or as an error that came
// before it was looked up.
struct Stats {
  // Served from memory, or by another caller's work on the same kernel. What a CallSite serves is
  // not counted.
  std::uint64_t memory_hits = 0;
  std::uint64_t memory_kernels = 0;  // loaded so far; they stay loaded
  std::uint64_t memory_bytes = 0;    // of their cubins
  std::uint64_t disk_hits = 0;
  std::uint64_t pack_hits = 0;
  std::uint64_t misses = 0;  // not in memory, not on disk and not in a pack
  // Why, each name once, also those that did not happen: absent, other_toolchain,
  // newer_than_driver, damaged, unreadable, refused, forbidden. A miss of a Runtime that keeps
  // kernels in memory only has no name.
  std::vector<NamedCount> named_misses;
  std::uint64_t compiles = 0;  // compiler runs that succeeded
  std::uint64_t compile_failures = 0;
  std::uint64_t compile_us = 0;  // Units: microseconds, of the compiles
  std::uint64_t saved_us =
      0;  // Units: microseconds, that hits on disk and in packs once took to compile
  std::uint64_t published = 0;
  std::uint64_t publish_failures = 0;  // disk full, read-only, ...: the kernel was served
  std::uint64_t quarantined = 0;       // damaged entries moved aside
  std::uint64_t lock_waits = 0;        // waits for another process
  std::uint64_t lock_timeouts = 0;
  std::uint64_t evicted = 0;  // entries removed to keep the cache within its bounds
  std::uint64_t evicted_bytes = 0;
  std::uint64_t churn_warnings = 0;  // templates of which ever new signatures were asked
  std::uint64_t churn_refusals = 0;  // requests that were refused for it; see Churn
  // Each once, also those without values. Units: microseconds, bytes, as the name says.
  //   compile_us    compiler runs that succeeded
  //   miss_us       requests that ended in a compile here, from the look into memory to the kernel
  //   disk_hit_us   kernels found on disk or in a pack, from the look to the loaded kernel
  //   lock_wait_us  waits for another process
  //   cubin_bytes   kernels that were loaded
  std::vector<NamedHistogram> histograms;
  // Requests served, per step of every bucket that was asked for, hits in memory among them. Of a
  // process with very many combinations of steps, those beyond the first 63 are left out.
  std::vector<BucketRequests> bucket_requests;
};

}  // namespace jit::inline v1
