#include "cache/statistics_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace jit::inline v1 {
namespace {

constexpr std::string_view kBucketPrefix = "bucket.";
constexpr std::size_t kMaxBucketNames = 32;

std::string bound_name(std::string_view histogram, std::size_t bucket) {
  if (bucket + 1 == Histogram::kBuckets) return fmt::format("{}.le_inf", histogram);
  return fmt::format("{}.le_{}", histogram, Histogram::bound(bucket));
}

// Of C++ identifiers, so lower case is all that is missing.
std::string bucket_name(const BucketRequests& bucket) {
  std::string name =
      fmt::format("{}{}.{}.{}", kBucketPrefix, bucket.template_name, bucket.bucket, bucket.step);
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return name;
}

}  // namespace

void add_histogram(Counts& counts, const NamedHistogram& named) {
  counts.add(named.name, named.histogram.sum);
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    if (named.histogram.buckets[i] == 0) continue;
    counts.add(bound_name(named.name, i), named.histogram.buckets[i]);
  }
}

Histogram histogram_of(const Counts& counts, std::string_view name) {
  Histogram histogram;
  histogram.sum = counts.at(name);
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    histogram.buckets[i] = counts.at(bound_name(name, i));
  }
  return histogram;
}

void add_buckets(Counts& counts, const std::vector<BucketRequests>& buckets) {
  std::size_t names = 0;
  for (const BucketRequests& bucket : buckets) {
    const std::string name = bucket_name(bucket);
    if (!is_count_name(name) || ++names > kMaxBucketNames) continue;
    counts.add(name, bucket.requests);
  }
}

std::optional<BucketRequests> bucket_of(std::string_view name, std::uint64_t count) {
  if (!name.starts_with(kBucketPrefix)) return std::nullopt;
  name.remove_prefix(kBucketPrefix.size());
  const std::size_t first = name.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = name.find('.', first + 1);
  if (second == std::string_view::npos) return std::nullopt;
  return BucketRequests{name.substr(0, first), name.substr(first + 1, second - first - 1),
                        name.substr(second + 1), count};
}

}  // namespace jit::inline v1
