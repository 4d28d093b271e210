// cubinet cache gc
#include <fmt/format.h>

#include "base/file.hpp"
#include "base/quantity.hpp"
#include "cache/eviction.hpp"
#include "cache/statistics.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

std::uint64_t size_of_option(const char* option, const std::string& text) {
  if (const auto size = parse_size(text)) return *size;
  throw UsageError(
      fmt::format("{} {}: expected a size such as 1GiB or 500MB, or none", option, text));
}

Json size_or_null(const std::optional<std::uint64_t>& bytes) {
  return bytes && *bytes != kNoCap ? Json(*bytes) : Json();
}

class CacheGcVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache gc", "Brings the cache within its bounds",
            "  cubinet cache gc\n"
            "  cubinet cache gc --max-size 1GiB --dry-run\n"
            "  cubinet cache gc --unused-for 30d --json\n"
            "\n"
            "Entries used longest ago go first, down to nine tenths of the cap. The bounds are\n"
            "CUBINET_CACHE_MAX_SIZE and CUBINET_CACHE_MIN_FREE unless given here; every process\n"
            "that publishes keeps those by itself, so this is for a cron job or a tighter bound.\n"
            "Kernels in use stay in use, and what is removed is built again when it is needed.\n"
            "The statistics of processes that have ended are added up into one file; no count is\n"
            "lost, see cubinet cache stats."};
  }
  void declare(Arguments& arguments) override {
    arguments.add({"--max-size", "What the cache may take on disk, or none", "SIZE"}, max_size_);
    arguments.add({"--min-free", "Free space to leave to others", "SIZE"}, min_free_);
    arguments.add(
        {"--unused-for", "Also remove what was not used for this long (30d, 12h)", "TIME"},
        unused_for_);
    arguments.add({"--dry-run", "Say what would go, and remove nothing", {}}, dry_run_);
    arguments.add_json(json_);
  }

  int run(Context& context) override {
    const EvictionRequest request = request_of(context.options());
    const Directory& directory = usable_directory_of(context);
    const EvictionResult result = directory.evict(request);
    if (!result.done) throw Error(ErrorCode::kIo, fmt::format("cache gc: {}", result.why));
    const std::size_t folded = dry_run_ ? 0 : fold_all(directory);
    print(json_ ? json(directory, result).set("folded_statistics", folded).text()
                : text(directory, result));
    return complain(result) ? kFailedWork : kFine;
  }

 private:
  EvictionRequest request_of(const RuntimeOptions& options) const {
    EvictionRequest request;
    request.max_bytes = options.max_cache_bytes;
    if (max_size_ == "none") request.max_bytes = kNoCap;
    else if (!max_size_.empty()) request.max_bytes = size_of_option("--max-size", max_size_);
    request.min_free_bytes = options.min_free_bytes;
    if (min_free_ == "none") request.min_free_bytes = 0;
    else if (!min_free_.empty()) request.min_free_bytes = size_of_option("--min-free", min_free_);
    if (!unused_for_.empty()) {
      request.unused_for = parse_duration(unused_for_);
      if (!request.unused_for) {
        throw UsageError(
            fmt::format("--unused-for {}: expected a time such as 30d, 12h or 90m", unused_for_));
      }
    }
    request.dry_run = dry_run_;
    // Whoever is at it already does half of the work; then it is done here all the same.
    request.patience = std::chrono::seconds(10);
    request.insist = true;
    return request;
  }

  // Statistics come in many small files, 256 at a time. Another process that is at it, or a file
  // system that refuses, is no failure of what was asked for.
  static std::size_t fold_all(const Directory& directory) {
    std::size_t folded = 0;
    FoldResult fold;
    do {
      fold = fold_statistics(directory);
      folded += fold.folded;
    } while (fold.error == 0 && fold.folded != 0);
    return folded;
  }

  Json json(const Directory& directory, const EvictionResult& result) const {
    return Json::object({{"path", directory.root().string()},
                         {"dry_run", dry_run_},
                         {"scanned_entries", result.scanned_entries},
                         {"scanned_bytes", result.scanned_bytes},
                         {"removed_entries", result.removed_entries},
                         {"removed_files", result.removed_files},
                         {"removed_bytes", result.removed_bytes},
                         {"spared_entries", result.spared_entries},
                         {"failed", result.failed},
                         {"remaining_entries", result.remaining_entries},
                         {"remaining_bytes", result.remaining_bytes},
                         {"max_bytes", size_or_null(result.max_bytes)},
                         {"free_bytes", size_or_null(result.free_bytes)},
                         {"min_free_bytes", result.floor_bytes},
                         {"scan_ms", static_cast<double>(result.scan_duration.count()) / 1000},
                         {"duration_ms", static_cast<double>(result.duration.count()) / 1000}});
  }

  std::string text(const Directory& directory, const EvictionResult& result) const {
    std::string text =
        fmt::format("{} entries {}, {}", result.removed_entries,
                    dry_run_ ? "would be removed" : "removed", format_bytes(result.removed_bytes));
    if (result.removed_files != 0) {
      text += fmt::format(", {} damaged or abandoned files among it", result.removed_files);
    }
    text += fmt::format("\n{} entries {}, {}", result.remaining_entries,
                        dry_run_ ? "would remain" : "remain", format_bytes(result.remaining_bytes));
    if (result.max_bytes != kNoCap) {
      text += fmt::format(" of at most {}", format_bytes(result.max_bytes));
    }
    text += fmt::format(" in {}\n", directory.root().string());
    if (result.free_bytes) {
      text += fmt::format("{} free, {} to be left\n", format_bytes(*result.free_bytes),
                          format_bytes(result.floor_bytes));
    }
    return text;
  }

  // Returns: whether there was something to say.
  static bool complain(const EvictionResult& result) {
    if (result.failed != 0) {
      print_error(fmt::format("cache gc: {} files could not be removed: {}; run it as their owner",
                              result.failed, error_text(result.error)));
    } else if (!result.within_cap()) {
      print_error(
          fmt::format("cache gc: {} remain, more than {}: entries are in use or being "
                      "written; try again",
                      format_bytes(result.remaining_bytes), format_bytes(result.max_bytes)));
    }
    if (!result.above_floor()) {
      print_error(
          fmt::format("cache gc: {} are free, less than {}, and what the cache takes would "
                      "not make up for it; free space elsewhere, or lower --min-free",
                      format_bytes(*result.free_bytes), format_bytes(result.floor_bytes)));
    }
    return result.failed != 0 || !result.within_cap() || !result.above_floor();
  }

  std::string max_size_;
  std::string min_free_;
  std::string unused_for_;
  bool dry_run_ = false;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_gc_verb() { return std::make_unique<CacheGcVerb>(); }

}  // namespace jit::inline v1
