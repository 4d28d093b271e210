#include "bench/tuning.hpp"

#include "bench/tokens_in_key.hpp"
#include "bench/tuning_quality.hpp"
#include "bench/tuning_workload.hpp"
#include "bench/workplace.hpp"

namespace jit::inline v1 {
void bench_tuning(Runtime& runtime, Driver& driver, const TuningBenchOptions& options,
                  BenchReport& report) {
  report.benchmark = "tuning";
  report.method =
      "requests: random presets of the shipped templates and token counts of 1 to 32767, every "
      "power "
      "of two as likely; a choice is scored by the geometric mean over its representative sizes of "
      "the medians in a sweep that times every variant to the end; cost share is timed device work "
      "over the sweep's; wall share likewise, without compiles; a key's cost is the median over "
      "those tuned here, and 'min of requests' that of all keys in the requests";
  driver.ensure_context();
  const Workplace work("tuning");
  bench_requests(runtime, options.seed, work.path(), report);
  options.after_part("requests");
  bench_on_miss({options.presets, options.processes, options.seed}, work.path(), report);
  options.after_part("processes that tune on a miss");
  bench_tokens_in_key(driver, {runtime, options.presets.front(), options.counts, options.seed},
                      work.path(), report);
  options.after_part("a token count in the key");
  for (const std::string& preset : options.presets) {
    const bool again = preset == options.presets.front();
    bench_choices(runtime, preset, again ? options.repeats : 1, report);
    options.after_part(preset);
  }
}

}  // namespace jit::inline v1
