// Stats: what a Runtime did, as numbers.
#pragma once

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

// Stats count what a Runtime did; each number only grows. `cubinet cache stats` adds them up over
// all processes that used a cache directory.
//
// A request ends as a hit in memory, a hit on disk or a miss, or as an error that came before it
// was looked up.
struct Stats {
  // Served from memory, or by another caller's work on the same kernel. What a CallSite serves is
  // not counted.
  std::uint64_t memory_hits = 0;
  std::uint64_t memory_kernels = 0;  // loaded so far; they stay loaded
  std::uint64_t memory_bytes = 0;    // of their cubins
  std::uint64_t disk_hits = 0;
  std::uint64_t misses = 0;  // not in memory and not on disk
  // Why, each name once, also those that did not happen: absent, other_toolchain,
  // newer_than_driver, damaged, unreadable, refused, forbidden. A miss of a Runtime that keeps
  // kernels in memory only has no name.
  std::vector<NamedCount> named_misses;
  std::uint64_t compiles = 0;  // compiler runs that succeeded
  std::uint64_t compile_failures = 0;
  std::uint64_t compile_us = 0;  // Units: microseconds, of the compiles
  std::uint64_t saved_us = 0;    // Units: microseconds, that hits on disk once took to compile
  std::uint64_t published = 0;
  std::uint64_t publish_failures = 0;  // disk full, read-only, ...: the kernel was served
  std::uint64_t quarantined = 0;       // damaged entries moved aside
  std::uint64_t lock_waits = 0;        // waits for another process
  std::uint64_t lock_timeouts = 0;
  std::uint64_t evicted = 0;  // entries removed to keep the cache within its bounds
  std::uint64_t evicted_bytes = 0;
};

}  // namespace jit::inline v1
