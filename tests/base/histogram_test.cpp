#include "base/histogram.hpp"

#include <catch2/catch_test_macros.hpp>
#include <thread>
#include <vector>

namespace jit {
namespace {

TEST_CASE("a value is counted where no smaller bound takes it") {
  constexpr std::size_t kLast = Histogram::kBuckets - 1;
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{1}}) {
    CHECK(AtomicHistogram::bucket_of(value) == 0);
  }
  for (std::size_t bucket = 1; bucket < kLast; ++bucket) {
    const std::uint64_t bound = Histogram::bound(bucket);
    CHECK(AtomicHistogram::bucket_of(bound) == bucket);
    CHECK(AtomicHistogram::bucket_of(bound - 1) == (bound == 2 ? 0 : bucket));
    CHECK(AtomicHistogram::bucket_of(bound + 1) == bucket + 1);
  }
  CHECK(AtomicHistogram::bucket_of(UINT64_MAX) == kLast);
  CHECK(Histogram::bound(kLast) == UINT64_MAX);
}

TEST_CASE("quantiles are the bounds of the buckets that they lie in") {
  AtomicHistogram histogram;
  CHECK(histogram.read().quantile(0.5) == 0);
  for (int i = 0; i < 9; ++i) histogram.add(100);
  histogram.add(5000);
  const Histogram read = histogram.read();
  CHECK(read.count() == 10);
  CHECK(read.sum == 5900);
  CHECK(read.quantile(0.5) == 128);
  CHECK(read.quantile(0.9) == 128);
  CHECK(read.quantile(0.91) == 8192);
  CHECK(read.quantile(1.0) == 8192);
}

TEST_CASE("threads lose nothing of a histogram") {
  AtomicHistogram histogram;
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (std::uint64_t value = 1; value <= 1000; ++value) histogram.add(value);
      });
    }
  }
  CHECK(histogram.read().count() == 4000);
  CHECK(histogram.read().sum == 4 * 500'500);
}

}  // namespace
}  // namespace jit
