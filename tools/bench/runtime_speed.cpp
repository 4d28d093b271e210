#include "bench/runtime_speed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <utility>
#include <vector>

#include "base/file.hpp"
#include "bench/bare_compile.hpp"
#include "bench/never_wait.hpp"
#include "bench/restart.hpp"
#include "jit/call_site.hpp"
#include "load/device_memory.hpp"
#include "merge_attn_states/params.h"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

using Clock = std::chrono::steady_clock;
using Action = std::function<void(std::size_t calls)>;

constexpr std::size_t kBurst = 256;

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

// A figure and its floor, taken in turn.
struct Pair {
  double ns = 0;
  double floor_ns = 0;
  double extra_ns = 0;  // median of the differences, pair by pair
};

double time_ns(const Action& action, std::size_t calls) {
  const auto start = Clock::now();
  action(calls);
  const std::chrono::duration<double, std::nano> took = Clock::now() - start;
  return took.count() / static_cast<double>(calls);
}

// `settle` runs untimed after each batch.
Pair time_pair(const Action& measured, const Action& floor, std::size_t calls, int rounds,
               const std::function<void()>& settle) {
  std::vector<double> a;
  std::vector<double> b;
  std::vector<double> differences;
  for (int round = -2; round < rounds; ++round) {
    const double first = time_ns(measured, calls);
    settle();
    const double second = time_ns(floor, calls);
    settle();
    if (round < 0) continue;
    a.push_back(first);
    b.push_back(second);
    differences.push_back(first - second);
  }
  return {median(a), median(b), median(differences)};
}

// Keeps the compiler from dropping what a loop computes.
template <class T>
void keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

BenchRow row_of(const std::string& path, const Pair& pair, const std::string& unit_floor,
                const std::string& budget) {
  BenchRow row;
  row.point = {{"path", path}, {"floor", unit_floor}, {"budget", budget}};
  row.figures = {{"ns", pair.ns}, {"floor_ns", pair.floor_ns}, {"extra_ns", pair.extra_ns}};
  return row;
}

// The request that is measured: a name, six constants and a size, as an engine writes it.
Kernel get_measured(Runtime& runtime, std::int64_t num_tokens) {
  return runtime.get_kernel("merge_attn_states",
                            {{"HEAD_SIZE", 128},
                             {"INPUT_TYPE", bf16},
                             {"USE_FP8_OUTPUT", true},
                             {"HAS_OUTPUT_LSE", false},
                             {"PROGRAMMATIC_DEPENDENT_LAUNCH", false},
                             {"THREADS", 128}},
                            Sizes{{"num_tokens", num_tokens}});
}

constexpr std::array<Constant, 6> kConstants{{{"HEAD_SIZE", 128},
                                              {"INPUT_TYPE", bf16},
                                              {"USE_FP8_OUTPUT", true},
                                              {"HAS_OUTPUT_LSE", false},
                                              {"PROGRAMMATIC_DEPENDENT_LAUNCH", false},
                                              {"THREADS", 128}}};

void bench_hits(Runtime& runtime, BenchReport& report) {
  const auto nothing = [] {};
  const Pair memory = time_pair(
      [&](std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i) {
          keep(get_measured(runtime, static_cast<std::int64_t>(i & 4095)));
        }
      },
      [](std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i) keep(i);
      },
      20'000, 21, nothing);
  report.rows.push_back(
      row_of("hit in memory, 6 constants and a size", memory, "empty loop", "<= 50 ns"));

  const CallSite site(runtime, "merge_attn_states", kConstants);
  static_cast<void>(site.kernel());
  std::atomic<const CallSite*> plain{&site};
  const Pair handle = time_pair(
      [&](std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i) keep(site.kernel());
      },
      [&](std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i) keep(plain.load(std::memory_order_acquire));
      },
      1'000'000, 21, nothing);
  report.rows.push_back(row_of("hit through a CallSite", handle, "one atomic load", "<= 3 ns"));
}

// The same cubin, loaded by bare driver calls.
struct BareKernel {
  BareKernel(Driver& driver_, const Artifact& artifact) : driver(driver_) {
    const CudaApi& api = driver.api();
    driver.check(
        api.library_load(&library, artifact.cubin.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
        "load the bare kernel", "cuLibraryLoadData");
    CudaKernel kernel = nullptr;
    driver.check(api.library_kernel(&kernel, library, artifact.symbol.c_str()),
                 "load the bare kernel", "cuLibraryGetKernel");
    driver.check(api.kernel_function(&function, kernel), "load the bare kernel",
                 "cuKernelGetFunction");
  }
  ~BareKernel() { driver.api().library_unload(library); }
  BareKernel(const BareKernel&) = delete;
  BareKernel& operator=(const BareKernel&) = delete;

  Driver& driver;
  CudaLibrary library = nullptr;
  CudaFunction function = nullptr;
};

void bench_launch(Runtime& runtime, Driver& driver, const Artifact& artifact, BenchReport& report) {
  StreamOwner stream(driver);
  const BareKernel bare(driver, artifact);
  // No tokens: the grid runs, touches nothing and ends.
  cubinet::merge_attn_states::Params params{};
  params.num_heads = cubinet::merge_attn_states::make_divisor(1);
  DeviceBuffer scale(driver, sizeof(float));
  scale.fill_async(1, stream.get());
  params.output_scale = scale.as<float>();
  stream.synchronize();
  const auto settle = [&] { stream.synchronize(); };
  const Action bare_launch = [&](std::size_t calls) {
    void* arguments[] = {&params};
    for (std::size_t i = 0; i < calls; ++i) {
      driver.check(driver.api().launch(bare.function, 1, 1, 1, 128, 1, 1, 0, stream.get(),
                                       arguments, nullptr),
                   "launch the bare kernel", "cuLaunchKernel");
    }
  };
  const Pair get = time_pair(
      [&](std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i) {
          get_measured(runtime, static_cast<std::int64_t>(i)).launch(1, 128, stream.get(), params);
        }
      },
      bare_launch, kBurst, 401, settle);
  report.rows.push_back(row_of("get + launch", get, "cuLaunchKernel", "<= 100 ns more"));
  const Kernel kernel = get_measured(runtime, 1);
  const Pair launch = time_pair(
      [&](std::size_t calls) {
        for (std::size_t i = 0; i < calls; ++i) kernel.launch(1, 128, stream.get(), params);
      },
      bare_launch, kBurst, 401, settle);
  report.rows.push_back(row_of("launch of a kept Kernel", launch, "cuLaunchKernel", "-"));
}

void bench_compile(Runtime& runtime, const Unit& unit, BenchReport& report) {
  ArtifactSource& source = runtime.impl().source();
  const auto location = source.toolchain(std::nullopt);
  if (!location) return;
  static_cast<void>(source.compile(unit));  // loads and warms the compiler
  const BareCompiler compiler(*location, *unit.signature->tmpl);
  const Action bare = [&](std::size_t) { static_cast<void>(compiler.compile(unit)); };
  const Pair pair =
      time_pair([&](std::size_t) { static_cast<void>(source.compile(unit)); }, bare, 1, 15, [] {});
  report.rows.push_back(row_of("compile, to the waiting caller", pair, "NVRTC alone", "<= 1.1 x"));
}

void bench_restart(Runtime& runtime, const Artifact& artifact, BenchReport& report) {
  const std::filesystem::path cubin =
      runtime.impl().source().directory()->root() / "bench-restart.cubin";
  const int error = replace_file(cubin, as_text(artifact.cubin));
  if (error != 0) {
    throw Error(ErrorCode::kIo, fmt::format("write {}: {}", cubin.string(), error_text(error)));
  }
  std::vector<double> get;
  std::vector<double> bare;
  std::vector<double> differences;
  for (int round = 0; round < 15; ++round) {
    get.push_back(restart(runtime.impl().source().directory()->root(), "get", cubin));
    bare.push_back(restart(runtime.impl().source().directory()->root(), "bare", cubin));
    differences.push_back(get.back() - bare.back());
  }
  std::error_code ignored;
  std::filesystem::remove(cubin, ignored);
  report.rows.push_back(row_of("first use in a new process, entry on disk, NVRTC not mapped",
                               {median(get), median(bare), median(differences)},
                               "load + function by the driver", "<= 100 us more"));
}

}  // namespace

void bench_runtime(Runtime& runtime, Driver& driver, BenchReport& report) {
  report.benchmark = "the runtime itself";
  report.method =
      "nanoseconds, medians of batches; figure and floor in turn within one run; extra is the "
      "median of the differences pair by pair";
  driver.ensure_context();
  const Kernel kernel = get_measured(runtime, 1);
  const auto arch = Arch::parse(kernel.info().arch);
  const Signature signature =
      resolve(runtime.impl().templates().find("merge_attn_states"),
              std::span<const Constant>(kConstants), Sizes{{"num_tokens", 1}});
  const Unit unit = make_unit(signature, *arch, Debug::kNone);
  const auto found = runtime.impl().source().find(unit);
  if (!found) {
    throw Error(ErrorCode::kIo,
                "measure a restart: the kernel is not on disk; give a cache "
                "directory that can be written");
  }
  bench_hits(runtime, report);
  bench_launch(runtime, driver, found->artifact, report);
  bench_restart(runtime, found->artifact, report);
  bench_compile(runtime, unit, report);
  bench_never_wait(runtime.options(), report);
}

}  // namespace jit::inline v1
