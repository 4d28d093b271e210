#include "bench/start.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <iostream>
#include <memory>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/file.hpp"
#include "bench/child_process.hpp"
#include "bench/workplace.hpp"
#include "cache/inspection.hpp"
#include "cache/statistics.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

using Clock = std::chrono::steady_clock;
using Arguments = std::vector<std::string>;

double median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples.empty() ? 0 : samples[samples.size() / 2];
}

double ms_since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// What one process says that it did.
struct Said {
  double ms = 0;
  std::size_t kernels = 0;
  std::size_t found = 0;
  std::size_t compiled = 0;
  std::size_t failed = 0;
  bool maps_nvrtc = false;
};

struct Together {
  double wall_ms = 0;
  std::vector<Said> each;
};

// Runs the same process several times at once. Their start and their contexts are not counted.
Together run_together(int processes, const Arguments& arguments, const Environment& environment) {
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (int i = 0; i < processes; ++i) {
    children.push_back(std::make_unique<ChildProcess>(arguments, environment));
  }
  for (auto& child : children) {
    const std::string line = child->read_line();
    if (line != "ready\n") throw Error(ErrorCode::kInternal, "measure a start: " + line);
  }
  Together together;
  const auto start = Clock::now();
  for (auto& child : children) child->write_line("go");
  for (auto& child : children) {
    std::istringstream line(child->read_line());
    Said said;
    line >> said.ms >> said.kernels >> said.found >> said.compiled >> said.failed >>
        said.maps_nvrtc;
    if (!line) throw Error(ErrorCode::kInternal, "measure a start: " + line.str());
    together.each.push_back(said);
  }
  together.wall_ms = ms_since(start);
  return together;
}

std::size_t compiles_in(const std::string& cache_dir) {
  return read_statistics(Directory(DirectoryOptions{cache_dir, false, true})).all.at("compiles");
}

void require_compiles(const std::string& cache_dir, std::size_t kernels) {
  const std::size_t compiles = compiles_in(cache_dir);
  if (compiles == kernels) return;
  throw Error(ErrorCode::kInternal, fmt::format("measure a start: {} compiles of {} kernels in {}",
                                                compiles, kernels, cache_dir));
}

// The architecture that the entries of a directory are for.
std::string arch_in(const std::string& cache_dir) {
  for (const EntryInfo& info : list_entries(Directory(DirectoryOptions{cache_dir, false, true}))) {
    if (info.summary) return info.summary->entry.artifact.arch.text();
  }
  throw Error(ErrorCode::kInternal, "measure a start: no entries in " + cache_dir);
}

// Runs a verb to its end. Returns: its wall time.
double run_verb(const Arguments& arguments) {
  const auto start = Clock::now();
  ChildProcess process(arguments);
  std::string said;
  try {
    for (;;) said = process.read_line();
  } catch (const Error&) {  // the end of its output
  }
  if (process.wait() == 0) return ms_since(start);
  throw Error(ErrorCode::kInternal,
              fmt::format("measure a start: cubinet {} failed", arguments[2]));
}

BenchRow row_of(const std::string& start, const std::string& floor, double ms, double floor_ms) {
  BenchRow row;
  row.point = {{"start", start}, {"floor", floor}};
  row.figures = {{"ms", ms},
                 {"floor_ms", floor_ms},
                 {"extra_ms", ms - floor_ms},
                 {"ratio", floor_ms > 0 ? ms / floor_ms : 0}};
  return row;
}

struct Starts {
  const StartBenchOptions& options;
  const Workplace& work;
  std::size_t kernels;

  std::string recording() const { return work.at("start.jsonl"); }
  Arguments child(const std::string& cache_dir, const std::string& role) const {
    return {"--cache-dir", cache_dir, "bench", "--restarted", role, recording()};
  }
  void bench_cold(BenchReport& report) const;
  void bench_warm(const std::string& name, const std::string& cache_dir, const Environment& where,
                  BenchReport& report) const;
};

void Starts::bench_cold(BenchReport& report) const {
  std::vector<double> cold;
  std::vector<double> farm;
  for (int round = 0; round < options.rounds; ++round) {
    const std::string cache = work.at(fmt::format("cold{}", round));
    cold.push_back(run_together(options.processes, child(cache, "warm-up"), {}).wall_ms);
    require_compiles(cache, kernels);
    const std::string beside = work.at(fmt::format("farm{}", round));
    farm.push_back(run_verb({"--cache-dir", beside, "precompile", "--from", recording(), "--arch",
                             arch_in(cache), "-j", std::to_string(options.processes)}));
    require_compiles(beside, kernels);
  }
  report.rows.push_back(row_of(fmt::format("cold: {} processes, {} kernels, {} compiles",
                                           options.processes, kernels, kernels),
                               fmt::format("precompile -j {}", options.processes), median(cold),
                               median(farm)));
}

void Starts::bench_warm(const std::string& name, const std::string& cache_dir,
                        const Environment& where, BenchReport& report) const {
  std::vector<double> started;
  std::vector<double> loads;
  for (int round = 0; round < options.rounds; ++round) {
    for (const Said& said :
         run_together(options.processes, child(cache_dir, "warm-up"), where).each) {
      if (said.found != kernels || said.maps_nvrtc) {
        throw Error(ErrorCode::kInternal,
                    fmt::format("measure a start from {}: {} of {} kernels were found; NVRTC was "
                                "{}mapped",
                                name, said.found, kernels, said.maps_nvrtc ? "" : "not "));
      }
      started.push_back(said.ms);
    }
    for (const Said& said :
         run_together(options.processes, child(work.at("cold0"), "loads"), {}).each) {
      loads.push_back(said.ms);
    }
  }
  report.rows.push_back(row_of(
      fmt::format("from {}: each of {} processes, {} found", name, options.processes, kernels),
      "the driver's loads", median(started), median(loads)));
}

// Whether this process has mapped a file of that name; that libc is found shows that it looks.
bool maps_library(std::string_view name) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(name) != std::string::npos) return true;
  }
  return false;
}

// Loads every entry there is with bare driver calls.
Said load_all(Driver& driver, const Directory& directory) {
  std::vector<Artifact> artifacts;
  for (const EntryInfo& info : list_entries(directory)) {
    if (!info.summary) continue;
    const Entry& entry = info.summary->entry;
    auto found = directory.find(entry.key, entry.artifact.toolchain, ToolchainPolicy::kAny);
    if (found) artifacts.push_back(std::move(found->artifact));
  }
  const CudaApi& api = driver.api();
  const auto start = Clock::now();
  for (const Artifact& artifact : artifacts) {
    CudaLibrary library = nullptr;
    driver.check(
        api.library_load(&library, artifact.cubin.data(), nullptr, nullptr, 0, nullptr, nullptr, 0),
        "load a cubin", "cuLibraryLoadData");
    CudaKernel kernel = nullptr;
    driver.check(api.library_kernel(&kernel, library, artifact.symbol.c_str()), "load a cubin",
                 "cuLibraryGetKernel");
    CudaFunction function = nullptr;
    driver.check(api.kernel_function(&function, kernel), "load a cubin", "cuKernelGetFunction");
  }
  return {ms_since(start), artifacts.size(), artifacts.size(), 0, 0, false};
}

Said warm_up(Runtime& runtime, const std::filesystem::path& file) {
  const auto start = Clock::now();
  const WarmUpReport report = runtime.warm_up(Recording::read(file));
  const double ms = ms_since(start);
  for (const WarmUpFailure& failure : report.failures) {
    fmt::print(stderr, "{}: {}\n", failure.kernel, failure.error.what());
  }
  const bool maps_nvrtc = maps_library("libnvrtc") || !maps_library("libc.so");
  return {ms, report.kernels, report.found, report.compiled, report.failed, maps_nvrtc};
}

}  // namespace

Recording start_recording() {
  Recording recording;
  for (const std::int64_t head_size : {64, 80, 96, 128, 256}) {
    for (const char* type : {"f32", "f16", "bf16"}) {
      for (const int flags : {0, 1, 2, 3}) {
        recording.add({"merge_attn_states",
                       {{"HAS_OUTPUT_LSE", (flags & 1) != 0},
                        {"HEAD_SIZE", head_size},
                        {"INPUT_TYPE", std::string(type)},
                        {"USE_FP8_OUTPUT", (flags & 2) != 0}},
                       {},
                       Debug::kNone});
      }
    }
  }
  return recording;
}

void bench_start(const StartBenchOptions& options, BenchReport& report) {
  report.benchmark = "starts of an engine";
  report.method =
      "milliseconds, medians of rounds; figure and floor in turn within one run; processes begin "
      "together, their own start and CUDA context apart";
  const Workplace work("start");
  const Recording recording = start_recording();
  const Starts starts{options, work, recording.size()};
  const int error = replace_file(starts.recording(), recording.text());
  if (error != 0) {
    throw Error(ErrorCode::kIo, fmt::format("write {}: {}", starts.recording(), error_text(error)));
  }
  starts.bench_cold(report);
  starts.bench_warm("the directory", work.at("cold0"), {}, report);
  const std::string pack = work.at("start.cupack");
  run_verb({"--cache-dir", work.at("cold0"), "pack", "create", pack});
  const auto frozen = [](const std::string& file) {
    return Environment{
        {"CUBINET_PACKS", file}, {"CUBINET_MODE", "frozen"}, {"CUBINET_NVRTC", "/none/of/it"}};
  };
  starts.bench_warm("a pack, frozen, no NVRTC", work.at("empty"), frozen(pack), report);
  const std::string moved = work.at("elsewhere/moved.cupack");
  std::filesystem::create_directory(work.at("elsewhere"));
  std::filesystem::rename(pack, moved);
  starts.bench_warm("the pack, moved", work.at("empty"), frozen(moved), report);
}

int run_start(Runtime& runtime, const std::string& role, const std::filesystem::path& file) {
  Driver& driver = runtime.impl().devices().driver();
  driver.ensure_context();
  std::cout << "ready" << std::endl;
  std::string line;
  std::getline(std::cin, line);
  const Said said = role == "loads" ? load_all(driver, *runtime.impl().source().directory())
                                    : warm_up(runtime, file);
  fmt::print("{} {} {} {} {} {}\n", said.ms, said.kernels, said.found, said.compiled, said.failed,
             said.maps_nvrtc ? 1 : 0);
  return said.failed == 0 ? 0 : 1;
}

}  // namespace jit::inline v1
