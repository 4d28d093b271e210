#include "bench/tokens_in_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <vector>

#include "bench/tuning_workload.hpp"
#include "runtime/runtime_impl.hpp"
#include "runtime/tuning_problems.hpp"
#include "signature/manifest.hpp"

namespace jit::inline v1 {
namespace {

constexpr const char* kKeyed = "merge_fixed_tokens";
constexpr const char* kPlain = "merge_attn_states";
constexpr const char* kCount = "NUM_TOKENS";
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples.empty() ? 0 : samples[samples.size() / 2];
}

// The host side of the plain kernel at the size that the constant says.
MakeTuningProblem keyed_problem(Driver& driver) {
  return [&driver](const TuningProblemRequest& request) {
    std::vector<Constant> shape;
    std::vector<Size> sizes(request.sizes.begin(), request.sizes.end());
    for (const Constant& constant : request.shape) {
      if (constant.name == kCount) sizes.emplace_back("num_tokens", constant.value.as_int());
      else shape.push_back(constant);
    }
    TuningProblemRequest plain = request;
    plain.shape = shape;
    plain.sizes = sizes;
    return make_tuning_problem(kPlain, driver, plain);
  };
}

// Of every token count of the requests, some that lie evenly among them.
std::vector<std::int64_t> sample_counts(std::uint64_t seed, int wanted, std::size_t& distinct) {
  std::set<std::int64_t> all;
  for (const WorkloadRequest& request : make_workload({}, seed)) all.insert(request.num_tokens);
  distinct = all.size();
  const std::vector<std::int64_t> counts(all.begin(), all.end());
  const std::size_t some = std::min(counts.size(), static_cast<std::size_t>(wanted));
  std::vector<std::int64_t> sample;
  for (std::size_t i = 0; i < some; ++i) sample.push_back(counts[i * counts.size() / some]);
  return sample;
}

struct Cost {
  std::vector<double> ms;         // to the kernel: compiles of all variants, and timing them
  std::vector<double> timing_ms;  // of it, on the GPU and waiting for it
  std::vector<double> plain_ms;   // one compile alone: without any tuning
};

void tune(Runtime& runtime, const char* name, std::span<const Constant> constants, Cost& cost) {
  TuneOptions options;
  options.keep = false;
  const auto start = Clock::now();
  double timing_ms = 0;
  for (const TuningRecord& record : runtime.tune(name, constants, options)) {
    timing_ms += record.evidence.seconds * 1e3;
  }
  cost.ms.push_back(ms_since(start));
  cost.timing_ms.push_back(timing_ms);
}

void get(Runtime& runtime, const char* name, std::span<const Constant> constants, Cost& cost) {
  const auto start = Clock::now();
  static_cast<void>(runtime.get_kernel(name, constants));
  cost.plain_ms.push_back(ms_since(start));
}

BenchRow row_of(const std::string& key, const Cost& cost, std::size_t keys) {
  const double each = median(cost.ms);
  BenchRow row;
  row.point = {{"what", "key"}, {"of", key}};
  row.counts = {{"tuned here", cost.ms.size()}, {"keys in the requests", keys}};
  row.figures = {{"ms per key", each},
                 {"of it timing", median(cost.timing_ms)},
                 {"one compile ms", median(cost.plain_ms)},
                 {"min of requests", each * static_cast<double>(keys) / 60e3}};
  return row;
}

}  // namespace

void bench_tokens_in_key(Driver& driver, const TokensInKeyOptions& options,
                         const std::filesystem::path& directory, BenchReport& report) {
  set_tuning_problem(kKeyed, keyed_problem(driver));
  Runtime runtime(fresh_options(options.like, directory / "keys"));
  const table::Template& plain = runtime.impl().templates().find(kPlain);
  const table::Preset* preset = find_preset(plain, options.preset);
  if (preset == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("measure tuning: {} has no preset {}", kPlain, options.preset));
  }
  Cost once;
  get(runtime, kPlain, preset->constants, once);
  tune(runtime, kPlain, preset->constants, once);
  // All bucket steps were tuned in one call.
  report.rows.push_back(row_of("shape alone, all bucket steps", once, 1));
  std::size_t distinct = 0;
  Cost keyed;
  for (const std::int64_t count : sample_counts(options.seed, options.counts, distinct)) {
    std::vector<Constant> constants(preset->constants.begin(), preset->constants.end());
    constants.push_back({kCount, count});
    get(runtime, kKeyed, constants, keyed);
    tune(runtime, kKeyed, constants, keyed);
  }
  report.rows.push_back(row_of("shape and token count", keyed, distinct));
}

}  // namespace jit::inline v1
