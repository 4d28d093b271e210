// try_get_kernel: nothing waits on the caller's thread, and what is missing is started.
#include <chrono>
#include <thread>

#include "cache/single_flight.hpp"
#include "compile/compile_gate.hpp"
#include "runtime/runtime_fixture.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::Scene;
using testing::tiny_constants;
using Clock = std::chrono::steady_clock;

// Tries until the kernel is there or its error is thrown.
Kernel try_until(Runtime& runtime, const std::vector<Constant>& constants) {
  const auto end = Clock::now() + std::chrono::seconds(60);
  while (Clock::now() < end) {
    if (const auto kernel = runtime.try_get_kernel("tiny", constants)) return *kernel;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL("no kernel");
  return {};
}

TEST_CASE("trying returns nothing at first, and starts one compile") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  CHECK_FALSE(runtime.try_get_kernel("tiny", tiny_constants()));
  const Kernel kernel = try_until(runtime, tiny_constants());
  CHECK(runtime.try_get_kernel("tiny", tiny_constants()) == kernel);
  CHECK(runtime.get_kernel("tiny", tiny_constants()) == kernel);
  CHECK(runtime.stats().compiles == 1);
  CHECK(runtime.stats().misses == 1);
  while (scene.entries().empty()) std::this_thread::yield();  // it is served before it is written
  // Another spelling of a kernel that is there finds it at once.
  CHECK(runtime.try_get_kernel("tiny", tiny_constants(), {{"num_tokens", 3}}) == kernel);
  CHECK(scene.log.warnings().empty());
}

TEST_CASE("trying reads no disk on the caller's thread, and finds what is there in a moment") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  Runtime runtime(scene.options);
  CHECK_FALSE(runtime.try_get_kernel("tiny", tiny_constants()));
  CHECK(try_until(runtime, tiny_constants()));
  CHECK(runtime.stats().compiles == 0);
  CHECK(runtime.stats().disk_hits == 1);
}

TEST_CASE("a bad request is refused at once, and nothing is started") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  CHECK(error_of([&] {
          runtime.try_get_kernel("tiny", {{"SIZE", 12}});
        }).code() == ErrorCode::kInvalidArgument);
  CHECK(runtime.stats().misses == 0);
}

TEST_CASE("a failure is thrown by those who try again, and compiled once; get_kernel tries anew") {
  Scene scene;
  scene.use(0);
  testing::write_tiny(scene.directory, testing::kTinyManifest, "#error broken\n");
  Runtime runtime(scene.options);
  const Error error = error_of([&] { try_until(runtime, tiny_constants()); });
  CHECK(error.code() == ErrorCode::kCompileFailed);
  CHECK(contains(error.log(), "broken"));
  for (int i = 0; i < 100; ++i) {
    const Error again = error_of([&] { runtime.try_get_kernel("tiny", tiny_constants()); });
    CHECK(std::string_view(again.what()) == error.what());
  }
  CHECK(runtime.stats().compile_failures == 1);
  REQUIRE(scene.log.warnings().size() == 1);
  CHECK(contains(scene.log.warnings()[0], "get in the background tiny[SIZE=128"));
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kCompileFailed);
  CHECK(runtime.stats().compile_failures == 2);
}

TEST_CASE("a failure is tried again after a while") {
  Scene scene;
  MemoryTier memory;
  Runtime runtime(scene.options);
  const Signature signature = resolve(runtime.impl().templates().find("tiny"), tiny_constants());
  std::atomic<int> looked{0};
  const auto look = [&](Pursuit&) -> StepResult {
    ++looked;
    throw Error(ErrorCode::kDriver, "load it: out of luck");
  };
  Pursuits pursuits({look, look}, Logger::silent(), std::chrono::milliseconds(50));
  Pursuit wanted;
  wanted.slot = &memory.slot_of(signature, Debug::kNone);
  const auto fails = [&] {
    try {
      pursuits.start_quietly(wanted);
      return false;
    } catch (const Error& error) {
      return error.code() == ErrorCode::kDriver;
    }
  };
  while (!fails()) std::this_thread::yield();
  CHECK(looked == 1);
  while (looked < 2) {
    fails();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

TEST_CASE("in frozen mode trying throws what is missing, having looked once") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants(256)); }
  scene.options.mode = Mode::kFrozen;
  Runtime runtime(scene.options);
  CHECK(try_until(runtime, tiny_constants(256)));
  CHECK_FALSE(runtime.try_get_kernel("tiny", tiny_constants(128)));
  for (int i = 0; i < 10; ++i) {
    const Error error = error_of([&] { try_until(runtime, tiny_constants(128)); });
    CHECK(error.code() == ErrorCode::kFrozenMiss);
    CHECK(contains(error.what(), "nearest entry: "));
  }
  CHECK(runtime.stats().misses == 1);
}

TEST_CASE("while the compiler is busy, kernels on disk are loaded, also in the background") {
  Scene scene;
  scene.use(0);
  {
    Runtime runtime(scene.options);
    for (const int size : {16, 24, 32}) runtime.get_kernel("tiny", tiny_constants(size));
  }
  Runtime runtime(scene.options);
  std::optional<CompileGate> busy(std::in_place);
  CHECK_FALSE(runtime.try_get_kernel("tiny", tiny_constants(8)));
  runtime.prefetch("tiny", tiny_constants(40));
  CHECK(try_until(runtime, tiny_constants(16)));
  const KernelSpec on_disk("tiny", tiny_constants(24));
  CHECK(runtime.prefetch({&on_disk, 1}).get().found == 1);
  CHECK(runtime.get_kernel("tiny", tiny_constants(32)));
  CHECK(runtime.stats().compiles == 0);
  CHECK_FALSE(runtime.try_get_kernel("tiny", tiny_constants(8)));
  busy.reset();
  CHECK(try_until(runtime, tiny_constants(8)));
  CHECK(try_until(runtime, tiny_constants(40)));
  CHECK(runtime.stats().compiles == 2);
}

TEST_CASE("a caller who waits goes before what is queued in the background") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  std::vector<KernelSpec> kernels;
  for (int size = 8; size <= 160; size += 8) kernels.emplace_back("tiny", tiny_constants(size));
  auto done = runtime.prefetch(kernels);
  CHECK(runtime.get_kernel("tiny", tiny_constants(160)));  // the last one of the list
  CHECK(done.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  const WarmUpReport report = done.get();
  CHECK(report.ok());
  CHECK(report.kernels == kernels.size());
  CHECK(runtime.stats().compiles == kernels.size());
}

}  // namespace
}  // namespace jit
