// Statistics of a cache directory, for people, as JSON and for Prometheus.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "cache/directory.hpp"
#include "cache/inspection.hpp"
#include "cache/statistics.hpp"
#include "cache/statistics_names.hpp"

namespace jit::inline v1 {

// What is counted on disk, and what lies there now.
struct FoundStatistics {
  std::string path;
  StatisticsSum sum;
  DirectorySize size;
  std::uint64_t of(std::string_view name) const noexcept { return sum.all.at(name); }
  // Whatever the memory did not have went to the directory, and what that did not have, to packs.
  std::uint64_t memory_misses() const noexcept { return directory_misses() + of("disk_hits"); }
  std::uint64_t directory_misses() const noexcept { return of("pack_hits") + of("misses"); }
};

// Calls `visit(name, count)` for each named miss.
template <class Visit>
void for_each_miss(const Counts& counts, Visit visit) {
  constexpr std::string_view kPrefix = kMissPrefix;
  for (const auto& [name, count] : counts.all()) {
    if (name.starts_with(kPrefix)) visit(std::string_view(name).substr(kPrefix.size()), count);
  }
}

// Calls `visit(BucketRequests)` for each step of a bucket.
template <class Visit>
void for_each_bucket(const Counts& counts, Visit visit) {
  for (const auto& [name, count] : counts.all()) {
    if (const auto bucket = bucket_of(name, count)) visit(*bucket);
  }
}

std::string statistics_text(const FoundStatistics& found);
std::string statistics_json(const FoundStatistics& found);
// The text exposition format 0.0.4, in seconds and bytes.
std::string statistics_prometheus(const FoundStatistics& found);

}  // namespace jit::inline v1
