#include "bench/never_wait.hpp"

#include <stdlib.h>  // NOLINT: mkdtemp

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "jit/kernel_spec.hpp"

namespace jit::inline v1 {
namespace {

using Clock = std::chrono::steady_clock;

double ns_since(Clock::time_point start) {
  return std::chrono::duration<double, std::nano>(Clock::now() - start).count();
}

double at_share(std::vector<double> samples, double share) {
  std::sort(samples.begin(), samples.end());
  const auto last = static_cast<double>(samples.size() - 1);
  return samples[static_cast<std::size_t>(share * last)];
}

// Signatures that nobody has asked for, in three spellings of sizes and types.
std::vector<KernelSpec> cold_kernels() {
  std::vector<KernelSpec> kernels;
  for (int head_size = 32; head_size <= 640; head_size += 32) {
    for (const DType type : {f32, f16, bf16}) {
      kernels.emplace_back(
          "merge_attn_states",
          std::initializer_list<Constant>{
              {"HEAD_SIZE", head_size}, {"INPUT_TYPE", type}, {"HAS_OUTPUT_LSE", true}},
          Sizes{{"num_tokens", 1}});
    }
  }
  return kernels;
}

std::optional<Kernel> try_it(Runtime& runtime, const KernelSpec& kernel) {
  return runtime.try_get_kernel(kernel.name(), kernel.constants(), kernel.sizes());
}

// Until nothing is under way.
void wait_for(Runtime& runtime, const KernelSpec& kernel) {
  while (!try_it(runtime, kernel)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

BenchRow row_of(const std::string& path, double ns, double floor_ns, const std::string& floor,
                const std::string& budget) {
  BenchRow row;
  row.point = {{"path", path}, {"floor", floor}, {"budget", budget}};
  row.figures = {{"ns", ns}, {"floor_ns", floor_ns}, {"extra_ns", ns - floor_ns}};
  return row;
}

// The caller is one that has other work and asks again now and then, as an engine does: it never
// sleeps, so its processor does not either.
void work_until_ready(Runtime& runtime, const KernelSpec& kernel) {
  for (auto next = Clock::now(); !try_it(runtime, kernel);) {
    next += std::chrono::microseconds(100);
    while (Clock::now() < next) {
    }
  }
}

void bench_tries(Runtime& runtime, BenchReport& report) {
  std::vector<double> samples;
  for (const KernelSpec& kernel : cold_kernels()) {
    const auto start = Clock::now();
    const bool ready = try_it(runtime, kernel).has_value();
    samples.push_back(ns_since(start));
    if (ready) throw Error(ErrorCode::kInternal, "measure a try: the kernel was there");
    work_until_ready(runtime, kernel);
  }
  const std::string name = "try_get_kernel, cold signature, ";
  const std::string budget = "<= 20 us";
  report.rows.push_back(row_of(name + "first of a Runtime", samples.front(), 0, "-", "-"));
  samples.erase(samples.begin());
  report.rows.push_back(row_of(name + "median", at_share(samples, 0.5), 0, "-", budget));
  report.rows.push_back(row_of(name + "99 of 100", at_share(samples, 0.99), 0, "-", budget));
  report.rows.push_back(row_of(name + "slowest", at_share(samples, 1), 0, "-", budget));
}

double time_hits(Runtime& runtime) {
  constexpr std::int64_t kHits = 2048;
  const auto start = Clock::now();
  for (std::int64_t i = 0; i < kHits; ++i) {
    const Kernel kernel = runtime.get_kernel("merge_attn_states",
                                             {{"HEAD_SIZE", 128},
                                              {"INPUT_TYPE", bf16},
                                              {"USE_FP8_OUTPUT", true},
                                              {"HAS_OUTPUT_LSE", false},
                                              {"PROGRAMMATIC_DEPENDENT_LAUNCH", false},
                                              {"THREADS", 128}},
                                             Sizes{{"num_tokens", i}});
    asm volatile("" : : "g"(&kernel) : "memory");
  }
  return ns_since(start) / static_cast<double>(kHits);
}

// As long as the compile that was started goes on, and then as many windows without one.
void bench_hits(Runtime& runtime, BenchReport& report) {
  std::vector<double> busy;
  std::vector<double> idle;
  static_cast<void>(time_hits(runtime));
  for (const KernelSpec& kernel : cold_kernels()) {
    const std::uint64_t compiles = runtime.stats().compiles;
    static_cast<void>(try_it(runtime, kernel));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::size_t windows = 0;
    for (;;) {
      const double ns = time_hits(runtime);
      if (runtime.stats().compiles != compiles) break;
      busy.push_back(ns);
      ++windows;
    }
    wait_for(runtime, kernel);
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // its entry is written
    for (; windows != 0; --windows) idle.push_back(time_hits(runtime));
  }
  report.rows.push_back(row_of("hit in memory while another kernel compiles", at_share(busy, 0.5),
                               at_share(idle, 0.5), "the same, idle", "<= 1.2 x"));
}

// A cache directory that ends with the run.
struct EmptyCache {
  EmptyCache() {
    std::string name = (std::filesystem::temp_directory_path() / "cubinet-bench-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw Error(ErrorCode::kIo, "make " + name);
    path = name;
  }
  ~EmptyCache() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  EmptyCache(const EmptyCache&) = delete;
  EmptyCache& operator=(const EmptyCache&) = delete;
  std::filesystem::path path;
};

template <class Bench>
void in_empty_cache(RuntimeOptions options, const Bench& bench) {
  const EmptyCache cache;
  options.cache_dir = cache.path / "cache";
  options.memory_only = false;
  options.mode = Mode::kAuto;
  options.churn = Churn::kOff;
  Runtime runtime(std::move(options));
  bench(runtime);
}

}  // namespace

void bench_never_wait(const RuntimeOptions& options, BenchReport& report) {
  in_empty_cache(options, [&](Runtime& runtime) { bench_tries(runtime, report); });
  in_empty_cache(options, [&](Runtime& runtime) { bench_hits(runtime, report); });
}

}  // namespace jit::inline v1
