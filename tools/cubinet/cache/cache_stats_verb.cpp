// cubinet cache stats
#include <fmt/format.h>

#include <cerrno>

#include "base/file.hpp"
#include "cubinet/cache/cache_access.hpp"
#include "cubinet/cache/statistics_report.hpp"
#include "cubinet/text.hpp"
#include "cubinet/verbs.hpp"

namespace jit::inline v1 {
namespace {

class CacheStatsVerb final : public Verb {
 public:
  VerbInfo info() const override {
    return {"cache stats", "Adds up what all processes did with the cache",
            "  cubinet cache stats\n"
            "  cubinet cache stats --json | jq .directory.named_misses\n"
            "  cubinet cache stats --prometheus > cubinet.prom.$$ && mv cubinet.prom.$$ "
            "/var/lib/node_exporter/cubinet.prom\n"
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
    arguments.add({"--prometheus", "Print metrics in Prometheus' text format", {}}, prometheus_);
  }

  int run(Context& context) override {
    const Directory& directory = usable_directory_of(context);
    if (json_ && prometheus_) throw UsageError("cache stats: give --json or --prometheus");
    if (reset_) return reset(directory);
    const FoundStatistics found{directory.root().string(), read_statistics(directory),
                                size_of(directory)};
    if (json_) print(statistics_json(found));
    else if (prometheus_) print(statistics_prometheus(found));
    else print(statistics_text(found));
    return kFine;
  }

 private:
  int reset(const Directory& directory) const {
    if (json_ || prometheus_) {
      throw UsageError("cache stats: --reset prints nothing; leave --json and --prometheus out");
    }
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
  bool prometheus_ = false;
};

}  // namespace

std::unique_ptr<Verb> make_cache_stats_verb() { return std::make_unique<CacheStatsVerb>(); }

}  // namespace jit::inline v1
