// Statistics names: how histograms, and the requests of buckets, stand among counts by name.
//
//   <histogram>                             the sum of its values
//   <histogram>.le_<bound>                  values of one bucket; .le_inf: larger ones
//   bucket.<template>.<bucket>.<step>       requests
//   miss.<reason>                           misses
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/statistics_record.hpp"
#include "jit/stats.hpp"

namespace jit::inline v1 {

inline constexpr std::array<std::string_view, 5> kHistogramNames{
    "compile_us", "miss_us", "disk_hit_us", "lock_wait_us", "cubin_bytes"};

void add_histogram(Counts& counts, const NamedHistogram& named);
Histogram histogram_of(const Counts& counts, std::string_view name);

// Letters become lower case; names that a record cannot hold, and those beyond the first 32, are
// left out.
void add_buckets(Counts& counts, const std::vector<BucketRequests>& buckets);
// What a name says; nullopt if it is no bucket's. Lifetime: refers to `name`.
std::optional<BucketRequests> bucket_of(std::string_view name, std::uint64_t count);

}  // namespace jit::inline v1
