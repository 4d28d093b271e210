// What a Runtime counts, and what of it reaches the disk.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "base/file.hpp"
#include "cache/entry.hpp"
#include "cache/layout.hpp"
#include "cache/statistics.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"
#include "runtime/statistics_fixture.hpp"
#include "runtime/statistics_recorder.hpp"

namespace jit {
namespace {

using testing::ask;
using testing::fill;
using testing::named_miss;
using testing::on_disk;
using testing::Scene;
using testing::tiny_constants;

bool has_statistics(const RuntimeOptions& options) {
  return std::filesystem::exists(options.cache_dir / kFormatDirectory / "stats");
}

TEST_CASE("counters equal what was done, in the process and on disk") {
  Scene scene;
  scene.use(0);
  {
    Runtime runtime(scene.options);
    for (int i = 0; i < 5; ++i) runtime.get_kernel("tiny", tiny_constants(8));
    const KernelSpec other("tiny", tiny_constants(16));
    CHECK(runtime.prefetch({&other, 1}).get().compiled == 1);
    for (int i = 0; i < 3; ++i) runtime.try_get_kernel("tiny", tiny_constants(16));
    runtime.get_kernel("tiny", tiny_constants(16));
    const Stats stats = runtime.stats();
    CHECK(stats.memory_hits == 8);
    CHECK(stats.memory_kernels == 2);
    CHECK(stats.memory_bytes > 1000);
    CHECK(stats.disk_hits == 0);
    CHECK(stats.misses == 2);
    CHECK(named_miss(runtime, "absent") == 2);
    CHECK(stats.compiles == 2);
    CHECK(stats.compile_us > 0);
    CHECK(stats.saved_us == 0);
    CHECK(stats.published == 2);
  }
  Runtime runtime(scene.options);
  runtime.get_kernel("tiny", tiny_constants(8));
  const Stats stats = runtime.stats();
  CHECK(stats.disk_hits == 1);
  CHECK(stats.saved_us > 0);
  CHECK(stats.misses == 0);
  const Counts first = on_disk(scene.options);
  CHECK(first.at("memory_hits") == 8);
  CHECK(first.at("misses") == 2);
  CHECK(first.at("miss.absent") == 2);
  CHECK(first.at("published") == 2);
  CHECK(first.at("disk_hits") == 0);  // of the second Runtime, which nobody waits for
  CHECK(first.at("compile_us") > 0);
}

TEST_CASE("a hit on disk in a new process writes nothing until it ends") {
  Scene scene;
  scene.use(0);
  fill(scene);
  const std::uint64_t before = on_disk(scene.options).at("disk_hits");
  {
    Runtime runtime(scene.options);
    runtime.get_kernel("tiny", tiny_constants());
    runtime.get_kernel("tiny", tiny_constants());
    CHECK(on_disk(scene.options).at("disk_hits") == before);
  }
  CHECK(on_disk(scene.options).at("disk_hits") == before + 1);
  CHECK(on_disk(scene.options).at("memory_hits") == 1);
}

TEST_CASE("a frozen and a read-only Runtime, and one in memory only, count and write nothing") {
  Scene scene;
  scene.use(0);
  for (const Mode mode : {Mode::kFrozen, Mode::kReadOnly}) {
    scene.options.mode = mode;
    Runtime runtime(scene.options);
    if (mode == Mode::kFrozen) CHECK_THROWS(runtime.get_kernel("tiny", tiny_constants()));
    else runtime.get_kernel("tiny", tiny_constants());
    CHECK(runtime.stats().misses == 1);
    CHECK(named_miss(runtime, "absent") == 1);
  }
  scene.options.mode = Mode::kAuto;
  scene.options.memory_only = true;
  {
    Runtime runtime(scene.options);
    runtime.get_kernel("tiny", tiny_constants());
    runtime.get_kernel("tiny", tiny_constants());
    CHECK(runtime.stats().memory_hits == 1);
    CHECK(runtime.stats().misses == 1);
  }
  CHECK_FALSE(has_statistics(scene.options));
}

TEST_CASE("waiting for another thread's kernel is a hit in memory") {
  Scene scene;
  Runtime runtime(scene.options);
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < 4; ++i) {
      callers.emplace_back(
          [&] { runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 0}); });
    }
  }
  CHECK(runtime.stats().misses == 1);
  CHECK(runtime.stats().memory_hits == 3);
}

// Each of the following three is a process of its own.
TEST_CASE("child: exits with a Runtime that is never destroyed", "[.]") {
  testing::ChildScene scene;
  auto* const runtime = new Runtime(scene.options);
  ask(*runtime);
  ask(*runtime);
}

TEST_CASE("child: is killed after a publish", "[.]") {
  testing::ChildScene scene;
  Runtime runtime(scene.options);
  ask(runtime);
  ::raise(SIGKILL);
}

TEST_CASE("child: forks after a hit", "[.]") {
  testing::ChildScene scene;
  Runtime runtime(scene.options);
  ask(runtime);
  const pid_t child = testing::fork_child([&]() -> int {
    ask(runtime);
    ask(runtime);
    std::exit(runtime.stats().disk_hits >= 2 ? 0 : 1);  // with exit handlers
  });
  CHECK(testing::wait_for(child) == 0);
}

TEST_CASE("what processes counted is there after they exit, are killed, or forked") {
  const char* former = std::getenv("ASAN_OPTIONS");
  const std::string options = former != nullptr ? former : "";
  ::setenv("ASAN_OPTIONS", (options + ":detect_leaks=0").c_str(), 1);
  const Scene scene;
  const auto run = [&](const char* name) {
    return testing::run_child_case(name, scene.directory.path());
  };
  CHECK(run("child: is killed after a publish") == 128 + SIGKILL);
  Counts counts = on_disk(scene.options);
  CHECK(counts.at(kProcesses) == 1);
  CHECK(counts.at("published") == 1);
  CHECK(counts.at("miss.absent") == 1);
  CHECK(counts.at("disk_hits") == 0);
  CHECK(run("child: exits with a Runtime that is never destroyed") == 0);
  counts = on_disk(scene.options);
  CHECK(counts.at(kProcesses) == 2);
  CHECK(counts.at("disk_hits") == 2);
  CHECK(counts.at("saved_us") == 2 * counts.at("compile_us"));
  CHECK(run("child: forks after a hit") == 0);
  counts = on_disk(scene.options);
  CHECK(counts.at(kProcesses) == 4);
  CHECK(counts.at("disk_hits") == 5);
  CHECK(counts.at("miss.absent") == 1);
  CHECK(read_statistics(Directory({.root = scene.options.cache_dir})).runtimes == 0);
  ::setenv("ASAN_OPTIONS", options.c_str(), 1);
}

TEST_CASE("a tick waits for no write, and comes again after it") {
  using std::chrono::milliseconds;
  const Scene scene;
  const Directory directory({.root = scene.options.cache_dir});
  std::atomic<bool> hangs{true};
  std::atomic<int> collected{0};
  StatisticsRecorder recorder(&directory,
                              [&] {
                                ++collected;
                                while (hangs) std::this_thread::sleep_for(milliseconds(1));
                                return Counts();
                              },
                              {milliseconds(0), milliseconds(1)});
  std::jthread writer([&] { recorder.write(); });
  while (collected != 1) std::this_thread::sleep_for(milliseconds(1));
  recorder.tick();  // would wait for ever
  hangs = false;
  writer.join();
  CHECK(collected == 1);
  recorder.tick();
  while (collected < 3) std::this_thread::sleep_for(milliseconds(1));
}

TEST_CASE("a process that goes on is written in the background, one that is young is not") {
  using std::chrono::milliseconds;
  const Scene scene;
  const Directory directory({.root = scene.options.cache_dir});
  std::atomic<std::uint64_t> hits{1};
  const auto collect = [&] {
    Counts counts;
    counts.add("memory_hits", hits);
    return counts;
  };
  const auto read = [&] { return read_statistics(directory).all.at("memory_hits"); };
  StatisticsRecorder young(&directory, collect, {milliseconds(100'000), milliseconds(1)});
  young.tick();
  StatisticsRecorder recorder(&directory, collect, {milliseconds(0), milliseconds(1)});
  CHECK(read() == 0);
  recorder.tick();
  while (read() != 1) std::this_thread::sleep_for(milliseconds(1));
  hits = 5;
  while (read() != 5) std::this_thread::sleep_for(milliseconds(1));
  // In a child the thread is gone, and comes again when it is due.
  if (testing::kThreadSanitizer) return;
  const pid_t child = testing::fork_child([&] {
    hits = 8;
    recorder.tick();
    while (read() != 8) std::this_thread::sleep_for(milliseconds(1));
    return 0;
  });
  CHECK(testing::wait_for(child) == 0);
  CHECK(read() == 8);
}

}  // namespace
}  // namespace jit
