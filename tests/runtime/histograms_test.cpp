// Times, sizes and the requests of each bucket: in the process and on disk.
#include "cache/statistics.hpp"
#include "cache/statistics_names.hpp"
#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

using testing::Scene;
using testing::tiny_constants;

Counts on_disk(const RuntimeOptions& options) {
  return read_statistics(Directory({.root = options.cache_dir})).all;
}

Histogram histogram_of(const Stats& stats, std::string_view name) {
  for (const NamedHistogram& named : stats.histograms) {
    if (named.name == name) return named.histogram;
  }
  FAIL("no histogram " << name);
  return {};
}

TEST_CASE("times and sizes are histograms, in the process and on disk") {
  Scene scene;
  scene.use(0);
  {
    Runtime runtime(scene.options);
    CHECK(runtime.stats().histograms.size() == 5);
    runtime.get_kernel("tiny", tiny_constants(8));
    runtime.get_kernel("tiny", tiny_constants(16));
    const Stats stats = runtime.stats();
    const Histogram compile = histogram_of(stats, "compile_us");
    CHECK(compile.count() == 2);
    CHECK(compile.sum == stats.compile_us);
    const Histogram miss = histogram_of(stats, "miss_us");
    CHECK(miss.count() == 2);
    CHECK(miss.sum >= compile.sum);
    CHECK(histogram_of(stats, "disk_hit_us").count() == 0);
    CHECK(histogram_of(stats, "cubin_bytes").sum == stats.memory_bytes);
    CHECK(histogram_of(stats, "lock_wait_us").count() == stats.lock_waits);
  }
  {
    Runtime runtime(scene.options);
    runtime.get_kernel("tiny", tiny_constants(8));
    runtime.get_kernel("tiny", tiny_constants(8));
    CHECK(histogram_of(runtime.stats(), "disk_hit_us").count() == 1);
    CHECK(histogram_of(runtime.stats(), "miss_us").count() == 0);
  }
  const Counts counts = on_disk(scene.options);
  CHECK(jit::histogram_of(counts, "compile_us").count() == 2);
  CHECK(jit::histogram_of(counts, "disk_hit_us").count() == 1);
  CHECK(jit::histogram_of(counts, "cubin_bytes").count() == 3);
}

TEST_CASE("requests are counted by the step of each bucket, however they were served") {
  Scene scene;
  scene.use(0);
  const auto requests = [](const Stats& stats, std::string_view step) {
    std::uint64_t sum = 0;
    for (const BucketRequests& bucket : stats.bucket_requests) {
      CHECK(bucket.template_name == "tiny");
      CHECK(bucket.bucket == "phase");
      if (bucket.step == step) sum += bucket.requests;
    }
    return sum;
  };
  const auto get = [](Runtime& runtime, int tokens, int size = 128) {
    runtime.get_kernel("tiny", tiny_constants(size), Sizes{{"num_tokens", tokens}});
  };
  {
    Runtime runtime(scene.options);
    CHECK(runtime.stats().bucket_requests.empty());
    for (int tokens = 1; tokens <= 100; ++tokens) get(runtime, tokens);  // 64 of decode
    get(runtime, 5000);  // the same kernel as a mixed one
    get(runtime, 8, 256);
    runtime.get_kernel("tiny", tiny_constants());  // decode by default
    const Stats stats = runtime.stats();
    CHECK(requests(stats, "decode") == 66);
    CHECK(requests(stats, "mixed") == 36);
    CHECK(requests(stats, "prefill") == 1);
    CHECK(stats.memory_hits + stats.misses == 103);
    CHECK(stats.compiles == 3);
  }
  const Counts counts = on_disk(scene.options);
  CHECK(counts.at("bucket.tiny.phase.decode") == 66);
  CHECK(counts.at("bucket.tiny.phase.mixed") == 36);
  CHECK(counts.at("bucket.tiny.phase.prefill") == 1);
}

}  // namespace
}  // namespace jit
