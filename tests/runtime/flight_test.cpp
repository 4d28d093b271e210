// One compile per key and machine: threads, processes, and leaders that die.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

using testing::Scene;
using testing::SharedCounters;
using testing::tiny_constants;

constexpr int kKeys = 20;

std::vector<int> shuffled_sizes(unsigned seed) {
  std::vector<int> sizes;
  for (int i = 1; i <= kKeys; ++i) sizes.push_back(8 * i);
  std::shuffle(sizes.begin(), sizes.end(), std::mt19937(seed));
  return sizes;
}

// Loads NVRTC into this process, so that children that are forked from it compile in milliseconds.
void warm_up(const Scene& scene) {
  Runtime runtime(scene.options);
  runtime.precompile("tiny", tiny_constants(4096), {}, "sm_90");
}

void wait_for_go(const SharedCounters& counters) {
  while (!counters->go.load()) ::usleep(200);
}

TEST_CASE("64 processes that want 20 kernels compile 20") {
  Scene scene;
  warm_up(scene);
  const SharedCounters counters;
  scene.options.log_sink = count_compiles(counters);
  std::vector<pid_t> children;
  for (unsigned i = 0; i < 64; ++i) {
    children.push_back(testing::fork_child([&, i] {
      Runtime runtime(scene.options);
      wait_for_go(counters);
      for (const int size : shuffled_sizes(i)) {
        runtime.precompile("tiny", tiny_constants(size), {}, "sm_90");
        ++counters->served;
      }
      counters->published += runtime.stats().published;
      counters->failures += runtime.stats().lock_timeouts;
      return 0;
    }));
  }
  counters->go = true;
  for (const pid_t child : children) CHECK(testing::wait_for(child) == 0);
  CHECK(counters->served == 64 * kKeys);
  CHECK(counters->compiles == kKeys);
  CHECK(counters->published == kKeys);
  CHECK(counters->failures == 0);
  CHECK(scene.entries().size() == kKeys + 1);
}

TEST_CASE("64 threads that want 20 kernels compile 20") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  std::atomic<bool> go{false};
  std::atomic<int> served{0};
  {
    std::vector<std::jthread> threads;
    for (unsigned i = 0; i < 64; ++i) {
      threads.emplace_back([&, i] {
        while (!go) std::this_thread::yield();
        for (const int size : shuffled_sizes(i)) {
          served += runtime.get_kernel("tiny", tiny_constants(size)) ? 1 : 0;
        }
      });
    }
    go = true;
  }
  CHECK(served == 64 * kKeys);
  CHECK(runtime.stats().compiles == kKeys);
  CHECK(runtime.stats().published == kKeys);
}

// A child that wants one kernel of its round. It counts what it compiles, before it publishes.
pid_t want(const Scene& scene, const SharedCounters& counters, int size) {
  return testing::fork_child([&, size] {
    Runtime runtime(scene.options);
    runtime.precompile("tiny", tiny_constants(size), {}, "sm_90");
    ++counters->served;
    return 0;
  });
}

TEST_CASE("a leader that is killed at any moment releases everybody, 200 times") {
  Scene scene;
  warm_up(scene);
  const SharedCounters counters;
  scene.options.log_sink = count_compiles(counters);
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t before = counters->compiles;
    const int size = 8 * (round + 1);
    const pid_t victim = want(scene, counters, size);
    const pid_t other = want(scene, counters, size);
    const pid_t third = round % 4 == 0 ? want(scene, counters, size) : 0;
    ::usleep(static_cast<useconds_t>(random() % 12'000));
    ::kill(victim, SIGKILL);
    const int deaths = testing::wait_for(victim) == 128 + SIGKILL ? 1 : 0;
    REQUIRE(testing::wait_for(other) == 0);
    if (third != 0) REQUIRE(testing::wait_for(third) == 0);
    REQUIRE(counters->compiles - before <= 1U + static_cast<unsigned>(deaths));
  }
  CHECK(scene.entries().size() == 201);
}

TEST_CASE("a child that the leader forked does not hold the lock after the leader's death") {
  Scene scene;
  warm_up(scene);
  const SharedCounters counters;
  const SharedCounters grandchildren;  // its `served` is the id of the one alive
  scene.options.lock_timeout = std::chrono::seconds(20);
  for (int round = 0; round < 20; ++round) {
    const int size = 8 * (round + 1);
    grandchildren->served = 0;
    RuntimeOptions options = scene.options;
    // After the compile and before the publish the leader forks, and dies with its claim.
    options.log_sink = [&](LogLevel, std::string_view line) {
      if (!line.starts_with("compiled ")) return;
      const pid_t grandchild = ::fork();
      if (grandchild == 0) {
        ::alarm(60);
        for (;;) ::pause();
      }
      grandchildren->served = static_cast<std::uint64_t>(grandchild);
      ::kill(::getpid(), SIGKILL);
    };
    const pid_t leader = testing::fork_child([&] {
      Runtime runtime(options);
      runtime.precompile("tiny", tiny_constants(size), {}, "sm_90");
      return 0;
    });
    CHECK(testing::wait_for(leader) == 128 + SIGKILL);
    const auto begin = std::chrono::steady_clock::now();
    Runtime runtime(scene.options);
    CHECK_FALSE(runtime.precompile("tiny", tiny_constants(size), {}, "sm_90").hit);
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(10));
    CHECK(runtime.stats().lock_timeouts == 0);
    const auto grandchild = static_cast<pid_t>(grandchildren->served.load());
    REQUIRE(grandchild > 0);
    ::kill(grandchild, SIGKILL);
  }
}

TEST_CASE("a patience beyond what a clock can hold is a long one") {
  Scene scene;
  scene.options.lock_timeout = std::chrono::milliseconds::max();
  Runtime runtime(scene.options);
  runtime.precompile("tiny", tiny_constants(8), {}, "sm_90");
  CHECK(runtime.stats().compiles == 1);
  CHECK(runtime.stats().lock_timeouts == 0);
  // A deadline can be made of it.
  const auto now = std::chrono::steady_clock::now();
  CHECK(now + runtime.options().lock_timeout > now + std::chrono::hours(24));
}

TEST_CASE("a waiter whose patience ends compiles for itself") {
  Scene scene;
  warm_up(scene);
  const SharedCounters counters;
  RuntimeOptions options = scene.options;
  options.log_sink = [&](LogLevel, std::string_view line) {
    if (!line.starts_with("compiled ")) return;
    counters->go = true;
    ::sleep(30);  // a leader that hangs with its claim
  };
  const pid_t leader = testing::fork_child([&] {
    Runtime runtime(options);
    runtime.precompile("tiny", tiny_constants(8), {}, "sm_90");
    return 0;
  });
  wait_for_go(counters);
  scene.options.lock_timeout = std::chrono::milliseconds(200);
  Runtime runtime(scene.options);
  CHECK_FALSE(runtime.precompile("tiny", tiny_constants(8), {}, "sm_90").hit);
  CHECK(runtime.stats().lock_timeouts == 1);
  CHECK(scene.log.warnings().size() == 1);
  ::kill(leader, SIGKILL);
  CHECK(testing::wait_for(leader) == 128 + SIGKILL);
}

}  // namespace
}  // namespace jit
