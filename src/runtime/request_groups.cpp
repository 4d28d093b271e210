#include "runtime/request_groups.hpp"

#include <algorithm>

namespace jit::inline v1 {

std::uint32_t RequestGroups::group_of(const table::Template& tmpl, const BucketSteps& steps) {
  if (tmpl.buckets.empty()) return 0;
  const std::lock_guard lock(mutex_);
  const Key key{&tmpl, steps};
  if (const auto known = groups_.find(key); known != groups_.end()) return known->second;
  const std::uint32_t group = count_.load(std::memory_order_relaxed);
  if (group == HitCounter::kGroups) return 0;
  groups_.emplace(key, group);
  keys_[group] = key;
  count_.store(group + 1, std::memory_order_release);
  return group;
}

// Takes no lock: the statistics are collected amid forks and exits.
std::vector<BucketRequests> RequestGroups::requests(const HitCounter::ByGroup& hits) const {
  std::vector<BucketRequests> all;
  const std::uint32_t count = count_.load(std::memory_order_acquire);
  for (std::uint32_t group = 1; group < count; ++group) {
    const auto& [tmpl, steps] = keys_[group];
    const std::uint64_t requests = hits[group] + slow_[group].load(std::memory_order_relaxed);
    for (std::size_t i = 0; i < tmpl->buckets.size(); ++i) {
      const table::BucketDecl& bucket = tmpl->buckets[i];
      const BucketRequests one{tmpl->name, bucket.name, bucket.steps[steps[i]].label, requests};
      const auto known = std::find_if(all.begin(), all.end(), [&](const BucketRequests& other) {
        return other.template_name == one.template_name && other.bucket == one.bucket &&
               other.step == one.step;
      });
      if (known == all.end()) all.push_back(one);
      else known->requests += requests;
    }
  }
  return all;
}

}  // namespace jit::inline v1
