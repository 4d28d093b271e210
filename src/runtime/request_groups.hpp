// Request groups: a small number for each combination of a template's bucket steps, to count by.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

#include "jit/stats.hpp"
#include "runtime/fork_support.hpp"
#include "runtime/hit_counter.hpp"
#include "signature/selection.hpp"

namespace jit::inline v1 {

// Threads: any. Fork: usable in the child.
class RequestGroups final : private ForkAware {
 public:
  RequestGroups() { join(); }
  ~RequestGroups() override { leave(); }

  // The group of these steps; 0 for a template without buckets, and when there is no group left.
  // Requires: `tmpl` outlives it.
  std::uint32_t group_of(const table::Template& tmpl, const BucketSteps& steps);

  // Counts a request that was no hit in memory.
  void add(std::uint32_t group) noexcept { slow_[group].fetch_add(1, std::memory_order_relaxed); }

  // What was counted here and as hits in memory, by the steps of each bucket that was asked for.
  std::vector<BucketRequests> requests(const HitCounter::ByGroup& hits) const;

 private:
  using Key = std::pair<const table::Template*, BucketSteps>;

  void before_fork() noexcept override { mutex_.lock(); }
  void after_fork(bool) noexcept override { mutex_.unlock(); }

  std::array<std::atomic<std::uint64_t>, HitCounter::kGroups> slow_{};
  // By group, 0 left out; written under the mutex, read by anybody up to count_.
  std::array<Key, HitCounter::kGroups> keys_{};
  std::atomic<std::uint32_t> count_{1};
  std::mutex mutex_;
  std::map<Key, std::uint32_t> groups_;
};

}  // namespace jit::inline v1
