// prefetch, of one kernel and of a list: what its future says, and that nobody waits for it.
#include <dirent.h>
#include <fmt/format.h>

#include <chrono>
#include <csignal>
#include <set>
#include <thread>

#include "compile/compile_gate.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::FakeDevice;
using testing::Scene;
using testing::tiny_constants;

std::vector<KernelSpec> kernels_of(std::initializer_list<int> sizes) {
  std::vector<KernelSpec> kernels;
  for (const int size : sizes) kernels.emplace_back("tiny", tiny_constants(size));
  return kernels;
}

// A template that does not compile for one size.
void break_size(const Scene& scene, int size) {
  testing::write_tiny(
      scene.directory, testing::kTinyManifest,
      testing::with(testing::kTinyBody, "static_assert(Config::SIZE % 8 == 0, \"whole vectors\")",
                    fmt::format("static_assert(Config::SIZE != {}, \"broken\")", size)));
}

TEST_CASE("a prefetch makes the next call a hit") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  runtime.prefetch("tiny", tiny_constants());
  while (!runtime.try_get_kernel("tiny", tiny_constants())) std::this_thread::yield();
  CHECK(runtime.stats().compiles == 1);
  runtime.prefetch("tiny", tiny_constants());
}

TEST_CASE("prefetches and calls of the same kernels do not wait for each other in a circle") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  for (int round = 0; round < 6; ++round) {
    const int size = 8 * (round + 1);
    std::jthread other([&] { runtime.get_kernel("tiny", tiny_constants(size)); });
    runtime.prefetch("tiny", tiny_constants(size));
    runtime.prefetch("tiny", tiny_constants(size + 2048));
    runtime.get_kernel("tiny", tiny_constants(size));
  }
  for (int round = 0; round < 6; ++round) {
    runtime.get_kernel("tiny", tiny_constants(8 * (round + 1) + 2048));
  }
  CHECK(runtime.stats().compiles == 12);
}

TEST_CASE("a failing prefetch is logged and met again") {
  Scene scene;
  scene.use(0);
  testing::write_tiny(scene.directory, testing::kTinyManifest, "#error broken\n");
  Runtime runtime(scene.options);
  runtime.prefetch("tiny", tiny_constants());
  while (scene.log.warnings().empty()) std::this_thread::yield();
  CHECK(contains(scene.log.warnings()[0], "prefetch tiny[SIZE=128"));
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kCompileFailed);
  CHECK(runtime.stats().compile_failures == 2);
}

TEST_CASE("the report of a list says how each kernel came, and one that fails loses no other") {
  Scene scene;
  scene.use(0);
  break_size(scene, 24);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants(8)); }
  Runtime runtime(scene.options);
  runtime.get_kernel("tiny", tiny_constants(16));
  // 32 is asked for twice, by another spelling of the same.
  std::vector<KernelSpec> kernels = kernels_of({8, 16, 24, 32});
  kernels.emplace_back("tiny", tiny_constants(32), Sizes{{"num_tokens", 5}});
  const WarmUpReport report = runtime.prefetch(kernels).get();
  CHECK(report.kernels == 4);
  CHECK(report.found == 1);
  CHECK(report.in_memory == 1);
  CHECK(report.compiled == 1);
  CHECK(report.failed == 1);
  CHECK_FALSE(report.ok());
  CHECK(report.elapsed.count() > 0);
  REQUIRE(report.failures.size() == 1);
  CHECK(contains(report.failures[0].kernel, "tiny[SIZE=24,"));
  CHECK(report.failures[0].error.code() == ErrorCode::kCompileFailed);
  CHECK(contains(report.failures[0].error.log(), "broken"));
  CHECK(scene.log.warnings().size() == 1);
  CHECK(runtime.get_kernel("tiny", tiny_constants(32)));
  CHECK(runtime.stats().compiles == 2);
  CHECK(runtime.prefetch(std::span<const KernelSpec>()).get().kernels == 0);
}

TEST_CASE("a list with a bad request is refused before anything is started") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const auto kernels = kernels_of({8, 16, 17});
  CHECK(error_of([&] { runtime.prefetch(kernels); }).code() == ErrorCode::kInvalidArgument);
  CHECK(error_of([&] { runtime.warm_up(kernels); }).code() == ErrorCode::kInvalidArgument);
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  CHECK(runtime.stats().misses == 0);
}

TEST_CASE("a future that is dropped is not waited for, and its kernels come") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  {
    const CompileGate busy;
    runtime.prefetch(kernels_of({8, 16}));  // would wait for ever
  }
  while (runtime.stats().compiles < 2) std::this_thread::yield();
}

TEST_CASE("what is prefetched is ready in the context that was current") {
  Scene scene({FakeDevice{}, FakeDevice{}});
  scene.use(1);
  Runtime runtime(scene.options);
  const auto kernels = kernels_of({8, 16});
  CHECK(runtime.prefetch(kernels).get().compiled == 2);
  const auto made_ready = [&] { return scene.fake.calls("cuKernelGetFunction"); };
  CHECK(made_ready() == 2);
  for (const int size : {8, 16}) {
    const Kernel kernel = runtime.get_kernel("tiny", tiny_constants(size));
    kernel.launch(Dim3{1}, Dim3{64}, nullptr, testing::TinyParams{});
  }
  CHECK(made_ready() == 2);
  CHECK(scene.fake.launches().at(1).device == 1);
  // In a further context what is there is made ready, and nothing is loaded.
  scene.use(0);
  CHECK(runtime.prefetch(kernels).get().in_memory == 2);
  CHECK(made_ready() == 4);
  for (const int size : {8, 16}) {
    const Kernel kernel = runtime.get_kernel("tiny", tiny_constants(size));
    kernel.launch(Dim3{1}, Dim3{64}, nullptr, testing::TinyParams{});
  }
  CHECK(made_ready() == 4);
  CHECK(scene.fake.libraries() == 2);
}

TEST_CASE("a Runtime that ends answers its futures") {
  Scene scene;
  scene.use(0);
  std::future<WarmUpReport> done;
  {
    Runtime runtime(scene.options);
    done = runtime.prefetch(kernels_of({8, 16, 24, 32, 40, 48, 56, 64}));
  }
  const WarmUpReport report = done.get();
  CHECK(report.kernels == 8);
  CHECK(report.compiled + report.failed == 8);
  CHECK(report.failed > 0);
  for (const WarmUpFailure& failure : report.failures) {
    CHECK(failure.error.code() == ErrorCode::kShuttingDown);
  }
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("a child of fork() is told that its parent works on, and works itself") {
  if (testing::kThreadSanitizer) SKIP("ThreadSanitizer takes no threads after a fork of many");
  Scene scene;
  scene.options.log_sink = [](LogLevel, std::string_view) {};
  Runtime runtime(scene.options);
  std::vector<KernelSpec> kernels;
  for (int size = 8; size <= 800; size += 8) {
    kernels.emplace_back("tiny", tiny_constants(size), Sizes{}, KernelOptions{.device = 0});
  }
  auto done = runtime.prefetch(kernels);
  for (int round = 0; round < 4; ++round) {
    CHECK(testing::wait_for(testing::fork_child([&] {
            // Longer than a wait for another process's lock may be.
            ::alarm(75);
            const WarmUpReport report = done.get();
            for (const WarmUpFailure& failure : report.failures) {
              if (failure.error.code() != ErrorCode::kShuttingDown) return 1;
            }
            if (report.kernels != kernels.size()) return 2;
            // Later on the parent may be through with them.
            if (round == 0 && report.failed == 0) return 4;
            // On disk by now or not, they come.
            return runtime.prefetch(std::span(kernels).first(8)).get().ok() ? 0 : 3;
          })) == 0);
  }
  // The parent's own work has gone on.
  for (int size = 8; size <= 64; size += 8) {
    CHECK(runtime.get_kernel("tiny", tiny_constants(size), {}, {.device = 0}));
  }
}

std::set<std::string> threads_now() {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    found.insert(entry.path().filename().string());
  }
  return found;
}

// The signals that a thread has blocked.
std::uint64_t blocked_by(const std::string& thread) {
  const std::string status = testing::read_text("/proc/self/task/" + thread + "/status");
  const std::size_t at = status.find("SigBlk:");
  REQUIRE(at != std::string::npos);
  return std::stoull(status.substr(at + 7), nullptr, 16);
}

TEST_CASE("threads of the library take no signal of the program, and leave faults alone") {
  Scene scene;
  scene.use(0);
  const auto bit = [](int signal) { return std::uint64_t{1} << (signal - 1); };
  const auto before = threads_now();
  Runtime runtime(scene.options);
  CHECK(runtime.prefetch(kernels_of({8})).get().compiled == 1);
  std::size_t ours = 0;
  for (const std::string& thread : threads_now()) {
    if (before.contains(thread)) continue;
    std::uint64_t blocked = blocked_by(thread);
    // One that is just starting has all of them blocked, by the system's own hand.
    for (int i = 0; i < 1000 && (blocked & bit(SIGSEGV)) != 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      blocked = blocked_by(thread);
    }
    if (testing::kThreadSanitizer && (blocked & bit(SIGSEGV)) != 0) continue;  // its own thread
    ++ours;
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGALRM, SIGUSR1, SIGCHLD, SIGPROF}) {
      CHECK((blocked & bit(signal)) != 0);
    }
    for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
      CHECK((blocked & bit(signal)) == 0);
    }
  }
  CHECK(ours >= 3);  // one looks, one makes, one compiles
}

}  // namespace
}  // namespace jit
