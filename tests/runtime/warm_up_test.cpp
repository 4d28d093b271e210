// warm_up: many kernels ready before they are needed, by one process or by several together.
#include <fmt/format.h>

#include <set>
#include <thread>

#include "cache/single_flight.hpp"
#include "jit/recording.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::Scene;
using testing::tiny_constants;

std::vector<KernelSpec> some_kernels(int count, const KernelOptions& options = {}) {
  std::vector<KernelSpec> kernels;
  for (int i = 1; i <= count; ++i) {
    kernels.emplace_back("tiny", tiny_constants(8 * i), Sizes{}, options);
  }
  return kernels;
}

TEST_CASE("a warm-up makes everything ready and tells of each kernel on the caller's thread") {
  Scene scene;
  scene.use(0);
  const auto kernels = some_kernels(6);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants(8)); }
  const int before = scene.fake.calls("cuKernelGetFunction");
  Runtime runtime(scene.options);
  std::vector<std::size_t> done;
  std::set<std::string> told;
  bool here = true;
  WarmUpOptions options;
  options.progress = [&, caller = std::this_thread::get_id()](const WarmUpProgress& progress) {
    here = here && std::this_thread::get_id() == caller;
    done.push_back(progress.done);
    told.emplace(progress.kernel);
    CHECK(progress.total == 6);
    CHECK(name_of(progress.outcome) ==
          (contains(progress.kernel, "SIZE=8,") ? "found" : "compiled"));
  };
  const WarmUpReport report = runtime.warm_up(kernels, options);
  CHECK(here);
  CHECK(done == std::vector<std::size_t>{1, 2, 3, 4, 5, 6});
  CHECK(told.size() == 6);
  CHECK(report.ok());
  CHECK(report.compiled == 5);
  CHECK(report.found == 1);
  const int ready = scene.fake.calls("cuKernelGetFunction");
  CHECK(ready == before + 6);
  CHECK(runtime.try_get_kernel("tiny", tiny_constants(48)));
  CHECK(runtime.warm_up(kernels).in_memory == 6);
  CHECK(scene.fake.calls("cuKernelGetFunction") == ready);
}

TEST_CASE("what progress throws ends the warm-up as it is, and the Runtime goes on") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  WarmUpOptions options;
  options.progress = [](const WarmUpProgress& progress) {
    if (progress.done == 2) throw 17;
  };
  CHECK_THROWS_AS(runtime.warm_up(some_kernels(40), options), int);
  const std::uint64_t made = runtime.stats().compiles;
  CHECK(made < 10);
  CHECK(runtime.get_kernel("tiny", tiny_constants(8 * 40)));
  CHECK(runtime.warm_up(some_kernels(3)).ok());
}

TEST_CASE("a recording is warmed up with today's templates; what they do not know is reported") {
  Scene scene;
  scene.use(0);
  const Recording recording = Recording::parse(
      R"({"template":"tiny","constants":{"SIZE":8,"ELEMENT_TYPE_OF_INPUT":"i32"}}
{"template":"tiny","constants":{"SIZE":8,"ELEMENT_TYPE_OF_INPUT":"i32"},"buckets":{"phase":"prefill"}}
{"template":"tiny","constants":{"SIZE":13}}
{"template":"gone","constants":{}}
{"templ
)",
      "test.jsonl");
  Runtime runtime(scene.options);
  const WarmUpReport report = runtime.warm_up(recording);
  CHECK(report.kernels == 4);
  CHECK(report.compiled == 2);
  CHECK(report.failed == 2);
  REQUIRE(report.failures.size() == 2);
  CHECK(contains(report.failures[0].error.what(), "test.jsonl:"));
  CHECK(scene.log.warnings().size() == 1);  // the torn line
  runtime.get_kernel("tiny", {{"SIZE", 8}, {"ELEMENT_TYPE_OF_INPUT", i32}}, {{"num_tokens", 2000}});
  CHECK(runtime.stats().compiles == 2);
}

TEST_CASE("processes that warm up together compile each kernel once") {
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  constexpr int kProcesses = 4;
  constexpr int kKernels = 16;
  Scene scene;
  const testing::SharedCounters counters;
  scene.options.log_sink = testing::count_compiles(counters);
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(testing::fork_child([&] {
      Runtime runtime(scene.options);
      const auto kernels = some_kernels(kKernels, {.device = 0});
      while (!counters->go) std::this_thread::yield();
      const WarmUpReport report = runtime.warm_up(kernels);
      counters->served += report.kernels - report.failed;
      const bool shared = report.compiled + report.found + report.made_elsewhere == kKernels;
      return report.ok() && shared && report.compiled < kKernels ? 0 : 1;
    }));
  }
  counters->go = true;
  for (const pid_t child : children) CHECK(testing::wait_for(child) == 0);
  CHECK(counters->compiles == kKernels);
  CHECK(counters->served == kProcesses * kKernels);
  CHECK(scene.entries().size() == kKernels);
}

TEST_CASE("a kernel that another process never finishes is compiled here after a while") {
  Scene scene;
  scene.use(0);
  scene.options.lock_timeout = std::chrono::milliseconds(50);
  Runtime runtime(scene.options);
  const Signature signature = resolve(runtime.impl().templates().find("tiny"), tiny_constants(8));
  const UnitKey key = make_unit(signature, *Arch::parse("sm_90"), Debug::kNone).key;
  const Directory directory(DirectoryOptions{scene.options.cache_dir, false, false},
                            Logger::silent());
  const FlightLock foreign = FlightLock::acquire(directory, key, FlightLock::Clock::now());
  REQUIRE(foreign.state() == LockState::kAcquired);
  const WarmUpReport report = runtime.warm_up(some_kernels(3));
  CHECK(report.compiled == 3);
  CHECK(runtime.stats().lock_waits == 1);
  CHECK(runtime.stats().lock_timeouts == 1);
  REQUIRE(scene.log.warnings().size() == 1);
  CHECK(contains(scene.log.warnings()[0], "ms have passed; compiling it here too"));
}

TEST_CASE("what another process makes is not looked for on disk until that one lets go") {
  Scene scene;
  scene.use(0);
  scene.options.trace_file = scene.directory / "trace.json";
  {
    Runtime runtime(scene.options);
    const Signature signature = resolve(runtime.impl().templates().find("tiny"), tiny_constants(8));
    const UnitKey key = make_unit(signature, *Arch::parse("sm_90"), Debug::kNone).key;
    const Directory directory(DirectoryOptions{scene.options.cache_dir, false, false},
                              Logger::silent());
    FlightLock foreign = FlightLock::acquire(directory, key, FlightLock::Clock::now());
    auto done = runtime.prefetch(some_kernels(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
    foreign.release();
    CHECK(done.get().compiled == 1);
    CHECK(runtime.stats().lock_waits == 1);
  }
  const std::string trace = testing::read_text(scene.directory / "trace.json");
  int looks = 0;
  for (std::size_t at = 0; (at = trace.find(R"("name":"find")", at)) != std::string::npos; ++at) {
    ++looks;
  }
  CHECK(looks >= 4);
  CHECK(looks <= 8);
}

}  // namespace
}  // namespace jit
