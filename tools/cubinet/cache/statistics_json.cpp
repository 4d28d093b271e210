#include "cubinet/cache/statistics_report.hpp"
#include "cubinet/json.hpp"
#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::uint64_t kMicrosecondsPerMs = 1000;

Json misses_json(const FoundStatistics& found) {
  Json misses = Json::object();
  for (std::size_t i = 1; i < kMissReasons; ++i) misses.set(name_of(static_cast<MissReason>(i)), 0);
  misses.set(kForbiddenMiss, 0);
  for_each_miss(found.sum.all,
                [&](std::string_view name, std::uint64_t count) { misses.set(name, count); });
  return misses;
}

// A bound; null where there is none.
Json bound_json(std::uint64_t bound) { return bound == UINT64_MAX ? Json() : Json(bound); }

Json histogram_json(const Histogram& histogram) {
  Json buckets = Json::array();
  for (std::size_t i = 0; i < Histogram::kBuckets; ++i) {
    if (histogram.buckets[i] == 0) continue;
    buckets.add(
        Json::object({{"le", bound_json(Histogram::bound(i))}, {"count", histogram.buckets[i]}}));
  }
  return Json::object({{"count", histogram.count()},
                       {"sum", histogram.sum},
                       {"p50", bound_json(histogram.quantile(0.5))},
                       {"p90", bound_json(histogram.quantile(0.9))},
                       {"max", bound_json(histogram.quantile(1.0))},
                       {"buckets", std::move(buckets)}});
}

Json histograms_json(const FoundStatistics& found) {
  Json histograms = Json::object();
  for (const std::string_view name : kHistogramNames) {
    histograms.set(name, histogram_json(histogram_of(found.sum.all, name)));
  }
  return histograms;
}

Json buckets_json(const FoundStatistics& found) {
  Json buckets = Json::array();
  for_each_bucket(found.sum.all, [&](const BucketRequests& bucket) {
    buckets.add(Json::object({{"template", bucket.template_name},
                              {"bucket", bucket.bucket},
                              {"step", bucket.step},
                              {"requests", bucket.requests}}));
  });
  return buckets;
}

Json directory_json(const FoundStatistics& found) {
  return Json::object({{"hits", found.of("disk_hits")},
                       {"misses", found.directory_misses()},
                       {"named_misses", misses_json(found)},
                       {"entries", found.size.entries},
                       {"bytes", found.size.entry_bytes},
                       {"published", found.of("published")},
                       {"publish_failures", found.of("publish_failures")},
                       {"quarantined", found.of("quarantined")},
                       {"evicted", found.of("evicted")},
                       {"evicted_bytes", found.of("evicted_bytes")}});
}

}  // namespace

std::string statistics_json(const FoundStatistics& found) {
  const bool known = found.sum.knows_running;
  const Counts& running = found.sum.running;
  Json memory = Json::object({{"hits", found.of("memory_hits")},
                              {"misses", found.memory_misses()},
                              {"loaded", found.of("memory_kernels")},
                              {"entries", known ? Json(running.at("memory_kernels")) : Json()},
                              {"bytes", known ? Json(running.at("memory_bytes")) : Json()}});
  Json packs = Json::object({{"hits", found.of("pack_hits")}, {"misses", found.of("misses")}});
  Json all = Json::object();
  for (const auto& [name, count] : found.sum.all.all()) all.set(name, count);
  return Json::object({{"path", found.path},
                       {"processes", found.of(kProcesses)},
                       {"running", known ? Json(found.sum.runtimes) : Json()},
                       {"memory", std::move(memory)},
                       {"directory", directory_json(found)},
                       {"packs", std::move(packs)},
                       {"misses", found.of("misses")},
                       {"compiles", found.of("compiles")},
                       {"compile_failures", found.of("compile_failures")},
                       {"compile_ms", found.of("compile_us") / kMicrosecondsPerMs},
                       {"saved_ms", found.of("saved_us") / kMicrosecondsPerMs},
                       {"lock_waits", found.of("lock_waits")},
                       {"lock_timeouts", found.of("lock_timeouts")},
                       {"churn_warnings", found.of("churn_warnings")},
                       {"churn_refusals", found.of("churn_refusals")},
                       {"histograms", histograms_json(found)},
                       {"buckets", buckets_json(found)},
                       {"skipped_files", found.sum.skipped + found.of(kLostRecords)},
                       {"counts", std::move(all)}})
      .text();
}

}  // namespace jit::inline v1
