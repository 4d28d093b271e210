#include "runtime/hit_counter.hpp"

#include <barrier>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <thread>
#include <vector>

namespace jit {
namespace {

using Clock = std::chrono::steady_clock;

TEST_CASE("no hit is lost or counted twice, whoever counts") {
  HitCounter counter;
  constexpr int kThreads = 300;  // more than there are stripes, all alive at once
  constexpr int kHits = 5000;
  std::barrier<> together(kThreads);
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        counter.add();
        together.arrive_and_wait();
        for (int hit = 1; hit < kHits; ++hit) counter.add();
        together.arrive_and_wait();
      });
    }
  }
  CHECK(counter.total() == std::uint64_t{kThreads} * kHits);
}

TEST_CASE("threads that follow one another lose nothing") {
  HitCounter counter;
  for (int i = 0; i < 500; ++i) {
    std::jthread([&] {
      for (int hit = 0; hit < 10; ++hit) counter.add();
    }).join();
    REQUIRE(counter.total() == 10 * (static_cast<std::uint64_t>(i) + 1));
  }
}

TEST_CASE("two counters in one thread are two") {
  HitCounter one;
  HitCounter other;
  for (int i = 0; i < 10; ++i) {
    one.add();
    if (i % 2 == 0) other.add();
  }
  CHECK(one.total() == 10);
  CHECK(other.total() == 5);
}

TEST_CASE("hits are told apart by group, whoever counts") {
  HitCounter counter;
  constexpr std::uint32_t kThreads = 200;
  std::barrier<> together(kThreads);
  {
    std::vector<std::jthread> threads;
    for (std::uint32_t i = 0; i < kThreads; ++i) {
      threads.emplace_back([&] {
        counter.add(HitCounter::kGroups - 1);
        together.arrive_and_wait();
        for (std::uint32_t hit = 0; hit < 1000; ++hit) counter.add(hit % 4 == 0 ? 7 : 0);
        together.arrive_and_wait();
      });
    }
  }
  const HitCounter::ByGroup hits = counter.by_group();
  CHECK(hits[0] == kThreads * 750);
  CHECK(hits[7] == kThreads * 250);
  CHECK(hits[HitCounter::kGroups - 1] == kThreads);
  CHECK(counter.total() == kThreads * 1001);
}

TEST_CASE("every 4096th hit of a thread is told") {
  HitCounter counter;
  int told = 0;
  for (int hit = 0; hit < 3 * 4096; ++hit) told += counter.add() ? 1 : 0;
  CHECK(told == 3);
}

TEST_CASE("a hit costs about a nanosecond") {
  HitCounter counter;
  constexpr int kHits = 1'000'000;
  double best_ns = 1e9;
  for (int round = 0; round < 5; ++round) {
    const auto begin = Clock::now();
    for (int hit = 0; hit < kHits; ++hit) {
      counter.add();
      __asm__ volatile("" ::: "memory");
    }
    const std::chrono::duration<double, std::nano> spent = Clock::now() - begin;
    best_ns = std::min(best_ns, spent.count() / kHits);
  }
  UNSCOPED_INFO("a hit: " << best_ns << " ns");
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__OPTIMIZE__)
  CHECK(best_ns < 20);  // far above what it takes, far below what contention would
#endif
  CHECK(counter.total() == 5 * std::uint64_t{kHits});
}

}  // namespace
}  // namespace jit
