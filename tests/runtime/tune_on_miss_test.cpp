// Tuning on the first request, where the options ask for it: once, for whom it may, and whatever
// becomes of it the kernel is served.
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <stdexcept>
#include <thread>

#include "base/file.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/tuning_fixture.hpp"
#include "support/paths.hpp"

namespace jit {
namespace {

using testing::chosen;
using testing::contains;
using testing::FakeLaunch;
using testing::SharedCounters;
using testing::TuningScene;

// Variants that do nothing; every one is right.
class IdleProblem final : public TuningProblem {
 public:
  std::size_t sets() const override { return 1; }
  std::uint64_t bytes() const override { return 0; }
  void launch(const Kernel& kernel, std::size_t, Stream stream) override {
    const auto threads = static_cast<unsigned>(kernel.info().constant("THREADS").as_int());
    kernel.launch(Dim3{1}, Dim3{threads}, stream, testing::TinyParams{});
  }
  void poison(std::size_t, Stream) override {}
  std::string verify(std::size_t, Stream) override { return {}; }
};

// A machine where tiny may be tuned, and how often somebody began to.
class MissScene : public TuningScene {
 public:
  MissScene() {
    testing::write_tiny(directory, testing::with(testing::kTinyManifest, R"("selection": [)",
                                                 R"("tuning": {"sizes": [{"num_tokens": 1},
                                         {"num_tokens": 100}, {"num_tokens": 5000}]},
                                         "selection": [)"));
    options.tuning = Tuning::kOnMiss;
    options.tuning_budget = std::chrono::milliseconds(300);
    // Those of 128 threads are fastest.
    fake.set_launch_us([](const FakeLaunch& launch) { return 20.0 - launch.block.x / 16.0; });
    set_tuning_problem("tiny", [this](const TuningProblemRequest&) {
      if (fails) throw Error(ErrorCode::kDriver, "no memory for it");
      if (before) before();
      if (begun_by.exchange(::getpid()) != ::getpid()) ++counters->served;
      return std::make_unique<IdleProblem>();
    });
  }
  ~MissScene() {
    fake.set_launch_us(nullptr);
    set_tuning_problem("tiny", nullptr);
  }
  MissScene(const MissScene&) = delete;
  MissScene& operator=(const MissScene&) = delete;

  std::size_t records() const {
    const auto text = read_file(tuning_file());
    return text ? static_cast<std::size_t>(std::count(text->begin(), text->end(), '\n')) : 0;
  }
  // Processes that have begun to tune.
  std::uint64_t tuners() const { return counters->served; }

  SharedCounters counters;
  bool fails = false;
  std::function<void()> before;  // a tuning
  std::atomic<pid_t> begun_by{0};
};

TEST_CASE("a first request tunes its signature in its bucket step, and no later one does") {
  MissScene scene;
  scene.options.trace_file = scene.directory / "trace.json";
  {
    Runtime runtime(scene.options);
    const std::string choice = chosen(runtime, 8);
    CHECK(choice.starts_with("128/"));
    CHECK(scene.records() == 1);
    for (const int tokens : {2, 30, 64}) CHECK(chosen(runtime, 8, tokens) == choice);
    CHECK(scene.records() == 1);
    Runtime next(scene.options);
    CHECK(chosen(next, 8) == choice);
    CHECK(scene.records() == 1);
    CHECK_NOTHROW(chosen(next, 8, 100));  // another step
    CHECK(scene.records() == 2);
    CHECK(scene.log.warnings().empty());
  }
  const auto trace = read_file(scene.options.trace_file);
  REQUIRE(trace);
  CHECK(contains(*trace, R"("tune on miss")"));
  CHECK(contains(*trace, "phase=mixed"));
  CHECK(contains(*trace, R"("result":"tuned")"));
}

TEST_CASE("sixteen processes and their threads tune a signature once") {
  MissScene scene;
  {
    Runtime runtime(scene.options);  // NVRTC is loaded before the forks
    runtime.precompile("tiny", {{"SIZE", 4096}}, {}, "sm_90");
  }
  std::vector<pid_t> children;
  for (int i = 0; i < 16; ++i) {
    children.push_back(testing::fork_child([&] {
      Runtime runtime(scene.options);
      while (!scene.counters->go.load()) ::usleep(200);
      std::string first;
      std::string second;
      std::jthread other([&] { first = chosen(runtime, 8, 3, {.device = 0}); });
      second = chosen(runtime, 8, 60, {.device = 0});
      other.join();
      return first == second ? 0 : 1;
    }));
  }
  scene.counters->go = true;
  for (const pid_t child : children) CHECK(testing::wait_for(child) == 0);
  CHECK(scene.tuners() == 1);
  CHECK(scene.records() == 1);
}

TEST_CASE("nothing is tuned for a caller who does not wait, who pins all, or who did not ask") {
  MissScene scene;
  const auto tunes = [&](const auto& call) {
    const std::uint64_t before = scene.tuners();
    scene.begun_by = 0;
    Runtime runtime(scene.options);
    call(runtime);
    return scene.tuners() != before;
  };
  CHECK_FALSE(tunes([](Runtime& runtime) { runtime.try_get_kernel("tiny", {{"SIZE", 8}}); }));
  CHECK_FALSE(tunes([](Runtime& runtime) {
    const std::vector<KernelSpec> kernels{KernelSpec("tiny", {{"SIZE", 8}})};
    CHECK(runtime.warm_up(kernels).ok());
  }));
  CHECK_FALSE(tunes([](Runtime& runtime) {
    runtime.get_kernel("tiny", {{"SIZE", 8}, {"THREADS", 64}, {"STAGES", 2}});
  }));
  CHECK_FALSE(tunes([](Runtime& runtime) {
    runtime.precompile("tiny", {{"SIZE", 8}}, {}, "sm_90");
  }));
  for (const Tuning tuning : {Tuning::kRecorded, Tuning::kOff}) {
    scene.options.tuning = tuning;
    CHECK_FALSE(tunes([](Runtime& runtime) { chosen(runtime, 8); }));
  }
  scene.options.tuning = Tuning::kOnMiss;
  CHECK(tunes([](Runtime& runtime) { chosen(runtime, 8); }));
  // It has a record now, which is all that a frozen process may go by.
  CHECK_FALSE(tunes([](Runtime& runtime) { chosen(runtime, 8); }));
}

TEST_CASE("a tuning that fails is one warning, and the kernel is served without it") {
  MissScene scene;
  scene.fails = true;
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8) == "64/1");
  CHECK(chosen(runtime, 8, 50) == "64/1");
  CHECK(chosen(runtime.get_kernel("tiny", {{"FLAG", false}, {"SIZE", 8}})) == "64/1");
  CHECK(scene.records() == 0);
  const auto warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "tune tiny[SIZE=8,"));
  CHECK(contains(warnings[0], "no memory for it"));
}

TEST_CASE("what a tuning problem throws is one warning, of whatever type it is") {
  MissScene scene;
  scene.before = [] { throw std::out_of_range("its tables"); };
  Runtime runtime(scene.options);
  CHECK(chosen(runtime, 8) == "64/1");
  CHECK(chosen(runtime, 8, 20) == "64/1");
  const auto warnings = scene.log.warnings();
  REQUIRE(warnings.size() == 1);
  CHECK(contains(warnings[0], "its tables"));
}

TEST_CASE("nothing is tuned where it could not be kept, and one warning says so") {
  MissScene scene;
  {
    Runtime runtime(scene.options);  // what a frozen process is to find
    for (const int size : {8, 16}) runtime.precompile("tiny", {{"SIZE", size}}, {}, "sm_90");
  }
  for (const int way : {0, 1, 2}) {
    RuntimeOptions options = scene.options;
    if (way == 0) options.mode = Mode::kFrozen;
    if (way == 1) options.mode = Mode::kReadOnly;
    if (way == 2) options.memory_only = true;
    testing::LogLines log;
    options.log_sink = log.sink();
    Runtime runtime(options);
    for (const int size : {8, 16}) CHECK(chosen(runtime, size) == "64/1");
    REQUIRE(log.warnings().size() == 1);
    CHECK(contains(log.warnings()[0], "nothing is kept in this mode"));
  }
  CHECK(scene.tuners() == 0);
  CHECK(scene.records() == 0);
}

TEST_CASE("a process that is killed while it tunes leaves the work to the next") {
  MissScene scene;
  scene.before = [&] {
    ++scene.counters->compiles;
    ::pause();
  };
  const pid_t killed = testing::fork_child([&] {
    Runtime runtime(scene.options);
    chosen(runtime, 8, 1, {.device = 0});
    return 0;
  });
  for (int i = 0; i < 10'000 && scene.counters->compiles == 0; ++i) ::usleep(1000);
  REQUIRE(scene.counters->compiles == 1);
  scene.before = [] {};
  Runtime runtime(scene.options);
  std::string choice;
  {
    std::jthread waiter([&] { choice = chosen(runtime, 8, 1, {.device = 0}); });
    ::usleep(100'000);
    CHECK(scene.records() == 0);  // it waits for its turn
    ::kill(killed, SIGKILL);
    testing::wait_for(killed);
  }
  CHECK(choice.starts_with("128/"));
  CHECK(scene.records() == 1);
}

TEST_CASE("a child that is forked while its parent tunes gets what its parent finds") {
  if (testing::kThreadSanitizer) SKIP("the child of a process with threads starts none");
  MissScene scene;
  std::atomic<bool> go{false};
  scene.before = [&] {
    ++scene.counters->compiles;
    while (!go) ::usleep(1000);
  };
  Runtime runtime(scene.options);
  std::string choice;
  pid_t child = 0;
  {
    std::jthread tuner([&] { choice = chosen(runtime, 8, 1, {.device = 0}); });
    for (int i = 0; i < 10'000 && scene.counters->compiles == 0; ++i) ::usleep(1000);
    child = testing::fork_child([&] {
      go = true;
      const std::string found = chosen(runtime, 8, 2, {.device = 0});
      return found.starts_with("128/") ? 0 : 1;
    });
    ::usleep(100'000);
    go = true;
  }
  CHECK(testing::wait_for(child) == 0);
  CHECK(choice.starts_with("128/"));
  CHECK(scene.counters->compiles == 1);
  CHECK(scene.records() == 1);
}

TEST_CASE("a stream that is being captured is left alone") {
  MissScene scene;
  const auto driver = Driver::open(testing::kFakeCudaPath, nullptr);
  driver->initialise();
  const CudaApi& api = driver->api();
  Stream stream = nullptr;
  REQUIRE(api.stream_create(&stream, 0) == kCudaSuccess);
  REQUIRE(api.stream_begin_capture(stream, kCudaCaptureGlobal) == kCudaSuccess);
  CHECK(driver->is_capturing());
  {
    Runtime runtime(scene.options);
    CHECK(chosen(runtime, 8) == "64/1");
    CHECK(scene.tuners() == 0);
    REQUIRE(scene.log.warnings().size() == 1);
    CHECK(contains(scene.log.warnings()[0], "is being captured"));
  }
  CudaGraph graph = nullptr;
  CHECK(api.stream_end_capture(stream, &graph) == kCudaSuccess);
  CHECK_FALSE(driver->is_capturing());
  CHECK(api.graph_destroy(graph) == kCudaSuccess);
  CHECK(api.stream_destroy(stream) == kCudaSuccess);
}

}  // namespace
}  // namespace jit
