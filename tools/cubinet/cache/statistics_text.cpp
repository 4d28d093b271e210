#include <fmt/format.h>

#include "cubinet/cache/statistics_report.hpp"
#include "cubinet/text.hpp"

namespace jit::inline v1 {
namespace {

std::string seconds_text(std::uint64_t microseconds) {
  return fmt::format("{:.1f} s", static_cast<double>(microseconds) / 1e6);
}

// "65 ms", of the microseconds that bound a bucket.
std::string duration_text(std::uint64_t microseconds) {
  const auto us = static_cast<double>(microseconds);
  if (us < 1e3) return fmt::format("{} us", microseconds);
  if (us < 1e6) return fmt::format("{:.3g} ms", us / 1e3);
  return fmt::format("{:.3g} s", us / 1e6);
}

std::string tiers_text(const FoundStatistics& found) {
  TextTable table({{"TIER"},
                   {"ENTRIES", Align::kRight},
                   {"SIZE", Align::kRight},
                   {"HITS", Align::kRight},
                   {"MISSES", Align::kRight}});
  const bool known = found.sum.knows_running;
  table.add({"memory", known ? std::to_string(found.sum.running.at("memory_kernels")) : "?",
             known ? format_bytes(found.sum.running.at("memory_bytes")) : "?",
             std::to_string(found.of("memory_hits")), std::to_string(found.memory_misses())});
  table.add({"directory", std::to_string(found.size.entries), format_bytes(found.size.entry_bytes),
             std::to_string(found.of("disk_hits")), std::to_string(found.directory_misses())});
  if (found.of("pack_hits") != 0) {
    table.add({"packs", "", "", std::to_string(found.of("pack_hits")),
               std::to_string(found.of("misses"))});
  }
  return table.text();
}

std::string misses_text(const FoundStatistics& found) {
  std::string text;
  for_each_miss(found.sum.all, [&](std::string_view name, std::uint64_t count) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, name);
  });
  return text.empty() ? "none" : text;
}

void add_rarities(TextTable& table, const FoundStatistics& found) {
  const std::uint64_t warnings = found.of("churn_warnings");
  if (warnings != 0) {
    table.add({"churn", fmt::format("{} warnings of ever new signatures, {} requests refused",
                                    warnings, found.of("churn_refusals"))});
  }
  if (const auto lost = found.sum.skipped + found.of(kLostRecords); lost != 0) {
    table.add({"skipped", fmt::format("{} damaged files of statistics", lost)});
  }
}

std::string facts_text(const FoundStatistics& found) {
  TextTable table = TextTable::pairs();
  table.add({"cache", found.path});
  table.add(
      {"processes", found.sum.knows_running
                        ? fmt::format("{}, {} running", found.of(kProcesses), found.sum.runtimes)
                        : std::to_string(found.of(kProcesses))});
  table.add({"misses", misses_text(found)});
  table.add(
      {"compiles", fmt::format("{}, {} failed; {} spent, {} saved by hits", found.of("compiles"),
                               found.of("compile_failures"), seconds_text(found.of("compile_us")),
                               seconds_text(found.of("saved_us")))});
  table.add({"entries", fmt::format("{} published, {} not; {} quarantined, {} evicted",
                                    found.of("published"), found.of("publish_failures"),
                                    found.of("quarantined"), found.of("evicted"))});
  table.add({"waits", fmt::format("{} for other processes, {} in vain", found.of("lock_waits"),
                                  found.of("lock_timeouts"))});
  add_rarities(table, found);
  return table.text();
}

// The bounds of the buckets that the median, nine tenths and all of the values lie in.
std::string spread_text(const FoundStatistics& found) {
  struct Row {
    std::string_view name;
    std::string_view what;
  };
  constexpr Row kRows[] = {{"compile_us", "compile"},
                           {"miss_us", "miss, to the kernel"},
                           {"disk_hit_us", "hit on disk or in a pack"},
                           {"lock_wait_us", "wait for a process"},
                           {"cubin_bytes", "cubin loaded"}};
  TextTable table({{"WHAT"},
                   {"COUNT", Align::kRight},
                   {"HALF <=", Align::kRight},
                   {"90 % <=", Align::kRight},
                   {"ALL <=", Align::kRight}});
  for (const Row& row : kRows) {
    const Histogram histogram = histogram_of(found.sum.all, row.name);
    if (histogram.count() == 0) continue;
    const auto text = [&](double share) -> std::string {
      const std::uint64_t bound = histogram.quantile(share);
      if (bound == UINT64_MAX) return "more";
      return row.name.ends_with("_us") ? duration_text(bound) : format_bytes(bound);
    };
    table.add({std::string(row.what), std::to_string(histogram.count()), text(0.5), text(0.9),
               text(1.0)});
  }
  return table.empty() ? "" : "\n" + table.text();
}

std::string buckets_text(const FoundStatistics& found) {
  TextTable table({{"TEMPLATE"}, {"BUCKET"}, {"STEP"}, {"REQUESTS", Align::kRight}});
  for_each_bucket(found.sum.all, [&](const BucketRequests& bucket) {
    table.add({std::string(bucket.template_name), std::string(bucket.bucket),
               std::string(bucket.step), std::to_string(bucket.requests)});
  });
  return table.empty() ? "" : "\n" + table.text();
}

}  // namespace

std::string statistics_text(const FoundStatistics& found) {
  return tiers_text(found) + "\n" + facts_text(found) + spread_text(found) + buckets_text(found);
}

}  // namespace jit::inline v1
