#include "bench/farm.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/file.hpp"
#include "bench/bare_compile.hpp"
#include "bench/machine_text.hpp"
#include "cubinet/precompile/domain.hpp"
#include "cubinet/precompile/machine.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kTemplate = "merge_attn_states";
constexpr std::size_t kKernelsPerHeadSize = 32;
constexpr std::size_t kMostKernels = 512;

Restriction restriction_for(std::size_t kernels) {
  Restriction restriction{{"INPUT_TYPE", "bf16"},
                          {"INPUT_TYPE", "f16"},
                          {"FP8_GROUP_SIZE", "0"},
                          {"USE_UE8M0_SCALES", "false"}};
  for (std::size_t i = 0; i * kKernelsPerHeadSize < kernels; ++i) {
    restriction.emplace_back("HEAD_SIZE", std::to_string(64 * (i + 1)));
  }
  return restriction;
}

[[noreturn]] void fail(const std::string& reason) {
  throw Error(ErrorCode::kInternal, fmt::format("measure the farm: {}", reason));
}

// What a number of processes took together.
struct Cost {
  double seconds = 0;
  double cpu_seconds = 0;
};

// Starts this program `processes` times with stdin and stdout as given, and waits for all.
Cost run_processes(std::size_t processes, std::vector<std::string> arguments, int in, int out) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
  arguments.insert(arguments.begin(), "cubinet");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const auto start = Clock::now();
  std::vector<pid_t> started;
  for (std::size_t i = 0; i < processes; ++i) {
    pid_t pid = -1;
    if (::posix_spawn(&pid, "/proc/self/exe", &actions, nullptr, argv.data(), environ) == 0) {
      started.push_back(pid);
    }
  }
  ::posix_spawn_file_actions_destroy(&actions);
  bool fine = started.size() == processes;
  Cost cost;
  for (const pid_t pid : started) {
    int status = 0;
    rusage used{};
    while (::wait4(pid, &status, 0, &used) < 0 && errno == EINTR) {
    }
    fine = fine && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    for (const timeval& time : {used.ru_utime, used.ru_stime}) {
      cost.cpu_seconds +=
          static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
    }
  }
  cost.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  if (!fine) fail(fmt::format("a process of cubinet {} failed", arguments.at(1)));
  return cost;
}

class FarmBench {
 public:
  FarmBench(const fs::path& folder, std::size_t kernels, const std::string& arch)
      : folder_(folder), kernels_(kernels), arch_(arch) {}

  Cost farm(std::size_t workers) const {
    const fs::path cache = folder_ / "cache";
    const fs::path report = folder_ / "report.json";
    fs::remove_all(cache);
    std::vector<std::string> arguments{"--cache-dir",
                                       cache.string(),
                                       "precompile",
                                       kTemplate,
                                       "--all",
                                       "--limit",
                                       "100000",
                                       "--arch",
                                       arch_,
                                       "-j",
                                       std::to_string(workers),
                                       "--json"};
    for (const auto& [name, text] : restriction_for(kernels_)) {
      arguments.insert(arguments.end(), {"--set", name + "=" + text});
    }
    const UniqueFd in(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    const UniqueFd out(
        ::open(report.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR));
    const Cost cost = run_processes(1, std::move(arguments), in.get(), out.get());
    std::ifstream text(report);
    const nlohmann::json made = nlohmann::json::parse(text);
    if (made.at("compiled") != kernels_ || made.at("workers") != workers) {
      fail(fmt::format("{} of {} kernels were compiled by {} of {} workers",
                       made.at("compiled").get<int>(), kernels_, made.at("workers").get<int>(),
                       workers));
    }
    return cost;
  }

  Cost bare(std::size_t processes, std::size_t threads) const {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) fail(error_text(errno));
    const UniqueFd in(ends[0]);
    {
      const UniqueFd writing(ends[1]);
      for (std::uint32_t i = 0; i < kernels_; ++i) {
        if (write_fully(writing.get(), std::as_bytes(std::span(&i, 1))) != 0) fail("no queue");
      }
    }
    const UniqueFd out(::open("/dev/null", O_WRONLY | O_CLOEXEC));
    return run_processes(
        processes,
        {"--cache-dir", "none", "bench", "farm", "--restarted", std::to_string(threads),
         "--kernels", std::to_string(kernels_), "--arch", arch_},
        in.get(), out.get());
  }

  std::size_t kernels() const { return kernels_; }

 private:
  const fs::path& folder_;
  std::size_t kernels_;
  const std::string& arch_;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

struct Samples {
  std::vector<Cost> farm;
  std::vector<Cost> bare;
  std::vector<Cost> threads;
};

double rate_of(const std::vector<Cost>& costs, std::size_t kernels) {
  std::vector<double> rates;
  for (const Cost& cost : costs) rates.push_back(static_cast<double>(kernels) / cost.seconds);
  return median(std::move(rates));
}

double ratio_of(const std::vector<Cost>& over, const std::vector<Cost>& under, double Cost::*what) {
  std::vector<double> ratios;
  for (std::size_t i = 0; i < over.size(); ++i) ratios.push_back(over[i].*what / under[i].*what);
  return median(std::move(ratios));
}

void measure(const FarmBench& bench, std::size_t workers, int round, Samples& samples) {
  const std::array<std::function<void()>, 3> kinds{
      [&] { samples.bare.push_back(bench.bare(workers, 1)); },
      [&] { samples.farm.push_back(bench.farm(workers)); },
      [&] { samples.threads.push_back(bench.bare(1, workers)); }};
  // None is always the first.
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    kinds[(i + static_cast<std::size_t>(round)) % kinds.size()]();
  }
}

std::vector<std::size_t> default_workers() {
  std::vector<std::size_t> workers;
  for (std::size_t n = 1; n <= Machine().cores(); n *= 2) workers.push_back(n);
  return workers;
}

}  // namespace

std::vector<Signature> farm_bench_signatures(Runtime& runtime, std::size_t kernels) {
  const Domain domain(runtime.impl().templates().find(kTemplate), restriction_for(kernels));
  std::vector<Signature> signatures;
  domain.for_each([&](Signature&& signature) {
    signatures.push_back(std::move(signature));
    return true;
  });
  return signatures;
}

int run_compile_loop(Runtime& runtime, const std::string& arch, std::size_t kernels,
                     std::size_t threads) {
  const auto location = runtime.impl().source().toolchain(std::nullopt);
  const std::vector<Signature> signatures = farm_bench_signatures(runtime, kernels);
  const auto target = Arch::parse(arch);
  if (!location || !target || signatures.empty()) return 1;
  const BareCompiler compiler(*location, *signatures.front().tmpl);
  std::atomic<bool> failed{false};
  const auto loop = [&] {
    std::uint32_t index = 0;
    while (read_fully(STDIN_FILENO, std::as_writable_bytes(std::span(&index, 1))) ==
           sizeof(index)) {
      const Unit unit = make_unit(signatures.at(index), *target, Debug::kNone);
      if (compiler.compile(unit) == 0) failed = true;
    }
  };
  std::vector<std::thread> others;
  for (std::size_t i = 1; i < threads; ++i) others.emplace_back(loop);
  loop();
  for (std::thread& thread : others) thread.join();
  return failed ? 1 : 0;
}

void bench_farm(Runtime& runtime, const fs::path& folder, const FarmBenchOptions& options,
                BenchReport& report) {
  report.benchmark = "the precompile farm";
  report.host = machine_text();
  const std::size_t kernels = farm_bench_signatures(runtime, options.kernels).size();
  if (kernels > kMostKernels) fail(fmt::format("at most {} kernels", kMostKernels));
  const std::vector<std::size_t> counts =
      options.workers.empty() ? default_workers() : options.workers;
  fs::create_directories(folder);
  const FarmBench bench(folder, kernels, options.arch);
  std::vector<Samples> samples(counts.size());
  for (int round = 0; round < options.rounds; ++round) {
    for (std::size_t i = 0; i < counts.size(); ++i) measure(bench, counts[i], round, samples[i]);
  }
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  report.method = fmt::format(
      "{} kernels of merge_attn_states for {}, {} rounds, kinds interleaved; kernels per second "
      "from the start of the processes to their end, medians; farm: cubinet precompile -j N to an "
      "empty directory; bare: NVRTC alone in N processes; threads: NVRTC alone in N threads of "
      "one; "
      "ratios are medians of the rounds' own, cpu those of processor time",
      kernels, options.arch, options.rounds);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const Samples& of = samples[i];
    report.rows.push_back(
        {{{"workers", std::to_string(counts[i])}},
         {},
         {{"farm_per_s", rate_of(of.farm, kernels)},
          {"bare_per_s", rate_of(of.bare, kernels)},
          {"threads_per_s", rate_of(of.threads, kernels)},
          {"farm_over_bare", ratio_of(of.bare, of.farm, &Cost::seconds)},
          {"farm_over_threads", ratio_of(of.threads, of.farm, &Cost::seconds)},
          {"cpu_farm_over_bare", ratio_of(of.farm, of.bare, &Cost::cpu_seconds)}}});
  }
}

}  // namespace jit::inline v1
