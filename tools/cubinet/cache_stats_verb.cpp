// cubinet cache stats
#include <fmt/format.h>

#include "base/file.hpp"
#include "cache/statistics.hpp"
#include "cubinet/cache_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"
#include "runtime/artifact_source.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::uint64_t kMicrosecondsPerMs = 1000;

// What is counted on disk, and what lies there now.
struct Found {
  StatisticsSum sum;
  DirectorySize size;
  std::uint64_t of(std::string_view name) const noexcept { return sum.all.at(name); }
  // Whatever the memory did not have went to the directory.
  std::uint64_t memory_misses() const noexcept { return of("disk_hits") + of("misses"); }
};

// Calls `visit(name, count)` for each named miss.
template <class Visit>
void for_each_miss(const Counts& counts, Visit visit) {
  constexpr std::string_view kPrefix = kMissPrefix;
  for (const auto& [name, count] : counts.all()) {
    if (name.starts_with(kPrefix)) visit(std::string_view(name).substr(kPrefix.size()), count);
  }
}

Json stats_json(const Directory& directory, const Found& found) {
  Json misses = Json::object();
  for (std::size_t i = 1; i < kMissReasons; ++i) misses.set(name_of(static_cast<MissReason>(i)), 0);
  misses.set(kForbiddenMiss, 0);
  for_each_miss(found.sum.all,
                [&](std::string_view name, std::uint64_t count) { misses.set(name, count); });
  const bool known = found.sum.knows_running;
  const Counts& running = found.sum.running;
  Json memory = Json::object({{"hits", found.of("memory_hits")},
                              {"misses", found.memory_misses()},
                              {"loaded", found.of("memory_kernels")},
                              {"entries", known ? Json(running.at("memory_kernels")) : Json()},
                              {"bytes", known ? Json(running.at("memory_bytes")) : Json()}});
  Json disk = Json::object({{"hits", found.of("disk_hits")},
                            {"misses", found.of("misses")},
                            {"named_misses", std::move(misses)},
                            {"entries", found.size.entries},
                            {"bytes", found.size.entry_bytes},
                            {"published", found.of("published")},
                            {"publish_failures", found.of("publish_failures")},
                            {"quarantined", found.of("quarantined")},
                            {"evicted", found.of("evicted")},
                            {"evicted_bytes", found.of("evicted_bytes")}});
  Json all = Json::object();
  for (const auto& [name, count] : found.sum.all.all()) all.set(name, count);
  return Json::object({{"path", directory.root().string()},
                       {"processes", found.of(kProcesses)},
                       {"running", known ? Json(found.sum.runtimes) : Json()},
                       {"memory", std::move(memory)},
                       {"directory", std::move(disk)},
                       {"compiles", found.of("compiles")},
                       {"compile_failures", found.of("compile_failures")},
                       {"compile_ms", found.of("compile_us") / kMicrosecondsPerMs},
                       {"saved_ms", found.of("saved_us") / kMicrosecondsPerMs},
                       {"lock_waits", found.of("lock_waits")},
                       {"lock_timeouts", found.of("lock_timeouts")},
                       {"skipped_files", found.sum.skipped + found.of(kLostRecords)},
                       {"counts", std::move(all)}});
}

std::string seconds_text(std::uint64_t microseconds) {
  return fmt::format("{:.1f} s", static_cast<double>(microseconds) / 1e6);
}

std::string tiers_text(const Found& found) {
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
             std::to_string(found.of("disk_hits")), std::to_string(found.of("misses"))});
  return table.text();
}

std::string facts_text(const Directory& directory, const Found& found) {
  std::string misses;
  for_each_miss(found.sum.all, [&](std::string_view name, std::uint64_t count) {
    misses += fmt::format("{}{} {}", misses.empty() ? "" : ", ", count, name);
  });
  TextTable table = TextTable::pairs();
  table.add({"cache", directory.root().string()});
  table.add(
      {"processes", found.sum.knows_running
                        ? fmt::format("{}, {} running", found.of(kProcesses), found.sum.runtimes)
                        : std::to_string(found.of(kProcesses))});
  table.add({"misses", misses.empty() ? "none" : misses});
  table.add(
      {"compiles", fmt::format("{}, {} failed; {} spent, {} saved by hits", found.of("compiles"),
                               found.of("compile_failures"), seconds_text(found.of("compile_us")),
                               seconds_text(found.of("saved_us")))});
  table.add({"entries", fmt::format("{} published, {} not; {} quarantined, {} evicted",
                                    found.of("published"), found.of("publish_failures"),
                                    found.of("quarantined"), found.of("evicted"))});
  table.add({"waits", fmt::format("{} for other processes, {} in vain", found.of("lock_waits"),
                                  found.of("lock_timeouts"))});
  if (const auto lost = found.sum.skipped + found.of(kLostRecords); lost != 0) {
    table.add({"skipped", fmt::format("{} damaged files of statistics", lost)});
  }
  return table.text();
}

class CacheStatsVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache stats", "Adds up what all processes did with the cache",
            "  cubinet cache stats\n"
            "  cubinet cache stats --json | jq .directory.named_misses\n"
            "  cubinet cache stats --reset\n"
            "\n"
            "Counts processes that run and that have ended, since the last reset; one that runs\n"
            "writes what it counted from time to time, and at its end; one that is killed loses\n"
            "what came since, ten seconds as a rule. What a CallSite\n"
            "serves is not counted. Memory: what the processes that run have loaded."};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"--reset", "Begin anew; print nothing", {}}, reset_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    const Directory& directory = usable_directory_of(context);
    if (reset_) return reset(directory);
    const Found found{read_statistics(directory), size_of(directory)};
    if (json_) print(stats_json(directory, found).text());
    else print(tiers_text(found) + "\n" + facts_text(directory, found));
    return kFine;
  }

 private:
  int reset(const Directory& directory) const {
    if (json_) throw UsageError("cache stats: --reset prints nothing, so --json says nothing");
    const int error = reset_statistics(directory);
    if (error == 0) return kFine;
    throw Error(
        ErrorCode::kIo,
        fmt::format("cache stats: reset {}: {}; {}", directory.root().string(), error_text(error),
                    error == EROFS ? "set CUBINET_MODE=auto and make it writable"
                                   : "make it writable, or try again"));
  }

  bool reset_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_stats_verb() { return std::make_unique<CacheStatsVerb>(); }

}  // namespace jit::inline v1
