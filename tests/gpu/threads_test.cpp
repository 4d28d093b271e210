// Many threads, call sites, prefetch.
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <mutex>
#include <optional>
#include <thread>

#include "gpu/runtime_fixture.hpp"
#include "jit/call_site.hpp"

namespace jit::test {
namespace {

constexpr int kThreads = 32;
constexpr int kLaunches = 200;

// Runs `body` on many threads with a context; returns the first failure.
std::string on_threads(const auto& body) {
  std::mutex mutex;
  std::string failure;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      try {
        driver();
        body(i);
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        failure = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return failure;
}

TEST_CASE("many threads launch one kernel", "[runtime][threads]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(1);
  const Values values(fixture.gpu());
  const std::string failure = on_threads([&](int) {
    const StreamOwner stream(fixture.gpu());
    for (int i = 0; i < kLaunches; ++i) values.add_with(kernel, stream.get());
    stream.synchronize();
  });
  CHECK(failure == "");
  CHECK(values.all_are(kThreads * kLaunches));
}

TEST_CASE("many threads that ask for a few new kernels compile each once", "[runtime][threads]") {
  RuntimeFixture fixture;
  const Values values(fixture.gpu());
  const std::string failure = on_threads([&](int thread) {
    const StreamOwner stream(fixture.gpu());
    for (int i = 0; i < 4; ++i) values.add_with(fixture.add(1 + (thread + i) % 4), stream.get());
    stream.synchronize();
  });
  CHECK(failure == "");
  CHECK(fixture.runtime().stats().compiles == 4);
  CHECK(values.all_are(kThreads * (1 + 2 + 3 + 4)));
}

TEST_CASE("many threads bring one kernel into contexts of their own", "[runtime][threads]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(2);
  std::mutex making;  // contexts are made one at a time; their use is what is tested
  const std::string failure = on_threads([&](int thread) {
    if (thread >= 8) return;
    std::optional<ContextOwner> own;
    {
      const std::lock_guard lock(making);
      own.emplace(fixture.gpu(), 0);
    }
    const ContextScope scope(fixture.gpu(), own->get());
    const Values values(fixture.gpu());
    const StreamOwner stream(fixture.gpu());
    for (int i = 0; i < kLaunches; ++i) values.add_with(kernel, stream.get());
    stream.synchronize();
    if (!values.all_are(2 * kLaunches)) throw std::runtime_error("a sum is wrong");
  });
  CHECK(failure == "");
}

TEST_CASE("a call site gets its kernel once", "[runtime][call-site]") {
  RuntimeFixture fixture;
  const std::array<Constant, 1> constants{{{"AMOUNT", 5}}};
  const CallSite site(fixture.runtime(), "add", std::span<const Constant>(constants));
  CHECK(fixture.runtime().stats().compiles == 0);
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  for (int i = 0; i < 10; ++i) values.add_with(site.kernel(), stream.get());
  stream.synchronize();
  CHECK(values.all_are(50));
  CHECK(site.kernel() == fixture.add(5));
  CHECK(fixture.runtime().stats().compiles == 1);
}

TEST_CASE("many threads share one call site", "[runtime][call-site]") {
  RuntimeFixture fixture;
  const std::array<Constant, 1> constants{{{"AMOUNT", 3}}};
  const CallSite site(fixture.runtime(), "add", std::span<const Constant>(constants));
  const Values values(fixture.gpu());
  const std::string failure = on_threads([&](int) {
    const StreamOwner stream(fixture.gpu());
    for (int i = 0; i < kLaunches; ++i) values.add_with(site.kernel(), stream.get());
    stream.synchronize();
  });
  CHECK(failure == "");
  CHECK(values.all_are(3 * kThreads * kLaunches));
  CHECK(fixture.runtime().stats().compiles == 1);
}

TEST_CASE("a prefetched kernel turns up without anyone waiting for it", "[runtime][prefetch]") {
  using Clock = std::chrono::steady_clock;
  RuntimeFixture fixture;
  const std::array<Constant, 1> constants{{{"AMOUNT", 6}}};
  const std::span<const Constant> request(constants);
  CHECK_FALSE(fixture.runtime().try_get_kernel("add", request).has_value());
  fixture.runtime().prefetch("add", request);
  std::optional<Kernel> kernel;
  const auto deadline = Clock::now() + std::chrono::seconds(60);
  while (!kernel && Clock::now() < deadline) {
    const auto before = Clock::now();
    kernel = fixture.runtime().try_get_kernel("add", request);
    CHECK(Clock::now() - before < std::chrono::seconds(1));
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CAPTURE(fixture.lines().text());
  REQUIRE(kernel.has_value());
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  values.add_with(*kernel, stream.get());
  stream.synchronize();
  CHECK(values.all_are(6));
  CHECK(fixture.add(6) == *kernel);
  CHECK(fixture.runtime().stats().compiles == 1);
}

}  // namespace
}  // namespace jit::test
