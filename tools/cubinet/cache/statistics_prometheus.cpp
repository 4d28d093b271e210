#include <fmt/format.h>

#include <vector>

#include "cubinet/cache/statistics_report.hpp"

namespace jit::inline v1 {
namespace {

struct Label {
  std::string_view name;
  std::string_view value;
};

std::string escaped(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c == '\n') {
      text += "\\n";
      continue;
    }
    if (c == '\\' || c == '"') text += '\\';
    text += c;
  }
  return text;
}

// Millionths as a decimal number without an exponent: 65536 is 0.065536.
std::string micro_text(std::uint64_t millionths) {
  std::string text = fmt::format("{}.{:06}", millionths / 1'000'000, millionths % 1'000'000);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

// Exposition is a page of metrics; each family is begun once and then gets its samples.
class Exposition {
 public:
  explicit Exposition(std::string_view cache) : cache_(cache) {}

  void family(std::string_view name, std::string_view type, std::string_view help) {
    name_ = name;
    text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
  }
  void sample(std::string_view value, const std::vector<Label>& labels = {},
              std::string_view suffix = {}) {
    text_ += fmt::format("{}{}{{cache=\"{}\"", name_, suffix, escaped(cache_));
    for (const Label& label : labels) {
      text_ += fmt::format(",{}=\"{}\"", label.name, escaped(label.value));
    }
    text_ += fmt::format("}} {}\n", value);
  }
  void sample(std::uint64_t value, const std::vector<Label>& labels = {},
              std::string_view suffix = {}) {
    sample(std::to_string(value), labels, suffix);
  }
  const std::string& text() const noexcept { return text_; }

 private:
  std::string_view cache_;
  std::string_view name_;
  std::string text_;
};

struct Plain {
  std::string_view count;
  std::string_view metric;
  std::string_view help;
};

constexpr Plain kCounters[] = {
    {"compiles", "cubinet_compiles_total", "Compiler runs that succeeded."},
    {"compile_failures", "cubinet_compile_failures_total", "Compiler runs that failed."},
    {"published", "cubinet_published_total", "Entries written to the cache."},
    {"publish_failures", "cubinet_publish_failures_total",
     "Entries that could not be written; their kernels were served."},
    {"quarantined", "cubinet_quarantined_total", "Damaged entries set aside."},
    {"evicted", "cubinet_evicted_total", "Entries removed to keep the cache within its bounds."},
    {"evicted_bytes", "cubinet_evicted_bytes_total", "Bytes of the entries that were removed."},
    {"lock_waits", "cubinet_lock_waits_total", "Waits for another process that compiles."},
    {"lock_timeouts", "cubinet_lock_timeouts_total", "Waits that ended without an entry."},
    {"churn_warnings", "cubinet_churn_warnings_total",
     "Templates of which a process asked for ever new signatures."},
    {"churn_refusals", "cubinet_churn_refusals_total", "Requests refused for it."},
    {kProcesses, "cubinet_processes_total", "Processes that used the cache."},
    {kLostRecords, "cubinet_lost_records_total", "Damaged files of statistics."},
};

void add_counters(Exposition& page, const FoundStatistics& found) {
  page.family("cubinet_hits_total", "counter", "Requests served without a compile, by tier.");
  page.sample(found.of("memory_hits"), {{"tier", "memory"}});
  page.sample(found.of("disk_hits"), {{"tier", "directory"}});
  page.sample(found.of("pack_hits"), {{"tier", "pack"}});
  page.family("cubinet_misses_total", "counter", "Requests that no tier could serve, by reason.");
  for_each_miss(found.sum.all, [&](std::string_view name, std::uint64_t count) {
    page.sample(count, {{"reason", name}});
  });
  page.family("cubinet_saved_seconds_total", "counter", "Time that the hits once took to compile.");
  page.sample(micro_text(found.of("saved_us")));
  for (const Plain& plain : kCounters) {
    page.family(plain.metric, "counter", plain.help);
    page.sample(found.of(plain.count));
  }
  page.family("cubinet_bucket_requests_total", "counter",
              "Requests served, by the step of a template's bucket.");
  for_each_bucket(found.sum.all, [&](const BucketRequests& bucket) {
    page.sample(
        bucket.requests,
        {{"template", bucket.template_name}, {"bucket", bucket.bucket}, {"step", bucket.step}});
  });
}

void add_histogram(Exposition& page, const Plain& plain, const Histogram& histogram) {
  const bool is_time = plain.count.ends_with("_us");
  const auto text = [&](std::uint64_t value) {
    return is_time ? micro_text(value) : std::to_string(value);
  };
  page.family(plain.metric, "histogram", plain.help);
  std::uint64_t seen = 0;
  for (std::size_t i = 0; i + 1 < Histogram::kBuckets; ++i) {
    seen += histogram.buckets[i];
    page.sample(seen, {{"le", text(Histogram::bound(i))}}, "_bucket");
  }
  page.sample(histogram.count(), {{"le", "+Inf"}}, "_bucket");
  page.sample(text(histogram.sum), {}, "_sum");
  page.sample(histogram.count(), {}, "_count");
}

void add_histograms(Exposition& page, const FoundStatistics& found) {
  constexpr Plain kHistograms[] = {
      {"compile_us", "cubinet_compile_seconds", "Compiler runs that succeeded."},
      {"miss_us", "cubinet_miss_seconds", "Requests that ended in a compile, to the kernel."},
      {"disk_hit_us", "cubinet_disk_hit_seconds", "Kernels found on disk or in a pack, to loaded."},
      {"lock_wait_us", "cubinet_lock_wait_seconds", "Waits for another process that compiles."},
      {"cubin_bytes", "cubinet_cubin_bytes", "Sizes of the kernels that were loaded."}};
  for (const Plain& plain : kHistograms) {
    add_histogram(page, plain, histogram_of(found.sum.all, plain.count));
  }
}

void add_gauges(Exposition& page, const FoundStatistics& found) {
  page.family("cubinet_cache_entries", "gauge", "Entries in the directory.");
  page.sample(std::uint64_t{found.size.entries});
  page.family("cubinet_cache_bytes", "gauge", "Size of the entries in the directory.");
  page.sample(std::uint64_t{found.size.entry_bytes});
  if (!found.sum.knows_running) return;
  page.family("cubinet_running_runtimes", "gauge", "Runtimes that use the cache now.");
  page.sample(std::uint64_t{found.sum.runtimes});
  page.family("cubinet_memory_kernels", "gauge", "Kernels loaded in processes that run.");
  page.sample(found.sum.running.at("memory_kernels"));
  page.family("cubinet_memory_bytes", "gauge", "Size of the cubins loaded in them.");
  page.sample(found.sum.running.at("memory_bytes"));
}

}  // namespace

std::string statistics_prometheus(const FoundStatistics& found) {
  Exposition page(found.path);
  add_counters(page, found);
  add_histograms(page, found);
  add_gauges(page, found);
  return page.text();
}

}  // namespace jit::inline v1
