// Ends and beginnings while others are at work: destruction, exit, fork, another process's lock.
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "cache/single_flight.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::testing {
namespace {

using Clock = std::chrono::steady_clock;

UnitKey key_of(Runtime& runtime, const std::vector<Constant>& constants) {
  const Signature signature =
      resolve(runtime.impl().templates().find("tiny"), std::span<const Constant>(constants));
  return make_unit(signature, *Arch::parse("sm_90"), Debug::kNone).key;
}

TEST_CASE("a Runtime ends while its prefetches compile") {
  Scene scene;
  scene.use(0);
  for (int round = 0; round < 4; ++round) {
    Runtime runtime(scene.options);
    for (const int size : {8, 16, 24, 32}) {
      runtime.prefetch("tiny", tiny_constants(size + 40 * round));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(7 * round));
  }
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("child: exits while a prefetch compiles", "[.child]") {
  ChildScene child;
  auto* const runtime = new Runtime(child.options);  // as the process-wide one: never destroyed
  runtime->impl().devices().driver().ensure_context();
  for (int size = 8; size <= 256; size += 8) runtime->prefetch("tiny", tiny_constants(size));
  std::this_thread::sleep_for(std::chrono::milliseconds(::getpid() % 97));
  std::exit(0);
}

TEST_CASE("a process exits while a prefetch compiles") {
  Scene scene;
  // LeakSanitizer cannot look into a process whose other threads are at work.
  const char* former = std::getenv("ASAN_OPTIONS");
  const std::string options = former != nullptr ? former : "";
  ::setenv("ASAN_OPTIONS", (options + ":detect_leaks=0").c_str(), 1);
  for (int round = 0; round < 10; ++round) {
    CHECK(run_child_case("child: exits while a prefetch compiles", scene.directory.path()) == 0);
  }
  ::setenv("ASAN_OPTIONS", options.c_str(), 1);
}

TEST_CASE("a fork meets no Runtime that is half made") {
  Scene scene;
  std::atomic<bool> stop{false};
  std::thread maker([&] {
    while (!stop) Runtime runtime(scene.options);
  });
  for (int round = 0; round < 100; ++round) CHECK(wait_for(fork_child([] { return 0; })) == 0);
  stop = true;
  maker.join();
}

TEST_CASE("a prefetch that waits for another process keeps nobody from the compiler") {
  Scene scene;
  scene.use(0);
  scene.options.lock_timeout = std::chrono::seconds(20);
  Runtime runtime(scene.options);
  const Directory directory(DirectoryOptions{scene.options.cache_dir, false, false},
                            Logger::silent());
  // Another process's lock, as this process's own descriptor sees it.
  std::optional<FlightLock> foreign =
      FlightLock::acquire(directory, key_of(runtime, tiny_constants(8)), FlightLock::Clock::now());
  REQUIRE(foreign->state() == LockState::kAcquired);
  const auto start = Clock::now();
  runtime.prefetch("tiny", tiny_constants(8));
  runtime.prefetch("tiny", tiny_constants(16));
  CHECK(runtime.get_kernel("tiny", tiny_constants(24)));
  CHECK(runtime.get_kernel("tiny", tiny_constants(16)));
  CHECK(Clock::now() - start < std::chrono::seconds(10));
  foreign.reset();
  CHECK(runtime.get_kernel("tiny", tiny_constants(8)));
  CHECK(Clock::now() - start < std::chrono::seconds(15));
  CHECK(runtime.stats().lock_timeouts == 0);
}

TEST_CASE("a Runtime that writes nothing keeps no reproduction") {
  Scene scene;
  scene.options.template_path = {write_tiny(scene.directory, kTinyManifest, "#error broken\n")};
  scene.options.mode = Mode::kReadOnly;
  scene.use(0);
  Runtime runtime(scene.options);
  const Error error = error_of([&] { runtime.get_kernel("tiny", tiny_constants()); });
  CHECK(error.code() == ErrorCode::kCompileFailed);
  CHECK(error.reproduction().empty());
  CHECK_FALSE(std::filesystem::exists(scene.options.cache_dir));
}

TEST_CASE("a kernel asked for by ordinal is ready on that device, also on a hit") {
  Scene scene({FakeDevice{}, FakeDevice{}});
  scene.use(0);
  Runtime runtime(scene.options);
  const auto ready = [&] { return scene.fake.calls("cuKernelGetFunction"); };
  runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 1});
  CHECK(ready() == 1);
  runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 0});
  CHECK(ready() == 2);
  runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 0});
  runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 1});
  CHECK(ready() == 2);
}

}  // namespace
}  // namespace jit::testing
