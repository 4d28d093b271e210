#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "bench/fp8_attention.hpp"
#include "bench/fp8_attention_point.hpp"

namespace jit::inline v1 {
namespace {

// A graph moves about so many bytes, which takes 2 ms.
constexpr std::size_t kBytesPerGraph = std::size_t{8} << 30;
constexpr std::size_t kMaxCallsPerGraph = 32;
// Sets of so many bytes together are far beyond the L2.
constexpr std::size_t kBytesOfSets = std::size_t{1} << 30;

using List = std::vector<std::int64_t>;

List or_else(const List& given, List otherwise) { return given.empty() ? otherwise : given; }

// Keys, values, and what the keys are copied to.
std::size_t set_bytes(const Fp8AttentionCall& call) {
  const std::size_t tokens = static_cast<std::size_t>(call.num_key_tokens() * call.num_kv_heads);
  return tokens * static_cast<std::size_t>(2 * call.head_dim + call.head_dim_v);
}

Fp8PointPlan plan_of(const Fp8AttentionCall& call, bool counters) {
  Fp8PointPlan plan;
  plan.calls =
      std::clamp<std::size_t>(kBytesPerGraph / call.key_value_bytes(), 1, kMaxCallsPerGraph);
  plan.sets = std::clamp<std::size_t>(kBytesOfSets / set_bytes(call), 1, plan.calls);
  plan.counters = counters;
  plan.copy = true;
  return plan;
}

BenchRow row_of(const Fp8AttentionCall& call, const std::vector<Timing>& timings,
                const Fp8Point& point) {
  const double two = timings[0].median_us;
  const double one = timings[1].median_us;
  const double copy = timings[2].median_us;
  const auto bytes = static_cast<double>(call.key_value_bytes());
  BenchRow row;
  row.point = {{"head_dim", std::to_string(call.head_dim)},
               {"heads", fmt::format("{}/{}", call.num_heads, call.num_kv_heads)},
               {"batch", std::to_string(call.num_sequences)},
               {"keys", std::to_string(call.key_len)},
               {"page", call.page_size == 0 ? std::string("-") : std::to_string(call.page_size)},
               {"tile", point.tiles()}};
  row.counts = {{"splits", static_cast<std::uint64_t>(point.splits())}};
  row.figures = {{"MB", bytes / 1e6},
                 {"us", two},
                 {"one_level_us", one},
                 {"two/one", two / one},
                 {"GB/s", bytes / two / 1e3},
                 {"copy_us", copy},
                 {"copy_GB/s", bytes / copy / 1e3},
                 {"copy/us", copy / two},
                 {"min_us", timings[0].min_us},
                 {"max_us", timings[0].max_us}};
  return row;
}

std::vector<Fp8AttentionCall> calls_of(const Fp8DecodeBenchOptions& options) {
  constexpr std::int64_t kK = 1024;
  const bool quick = options.quick;
  const List head_dims = or_else(options.head_dims, {64, 128, 256});
  const List batches = or_else(options.batches, quick ? List{1, 64} : List{1, 4, 16, 64, 256});
  const List keys = or_else(
      options.keys, quick ? List{4 * kK, 64 * kK} : List{4 * kK, 16 * kK, 64 * kK, 128 * kK});
  const List pages = or_else(options.page_sizes, quick ? List{0, 16} : List{0, 16, 128});
  std::vector<Fp8AttentionCall> calls;
  for (const std::int64_t head_dim : head_dims) {
    for (const std::int64_t page_size : pages) {
      for (const std::int64_t batch : batches) {
        for (const std::int64_t length : keys) {
          Fp8AttentionCall call;
          set_fp8_heads(call, head_dim);
          call.num_sequences = batch;
          call.query_len = 1;
          call.key_len = length;
          call.page_size = page_size;
          calls.push_back(call);
        }
      }
    }
  }
  return calls;
}

bool fits(Driver& driver, const Fp8AttentionCall& call) {
  constexpr std::size_t kReserve = std::size_t{2} << 30;
  const std::size_t bytes = set_bytes(call);
  return bytes <= kFp8MostBytes && bytes + kReserve <= memory_info(driver).free_bytes;
}

}  // namespace

void bench_fp8_decode(Runtime& runtime, Driver& driver, const Fp8DecodeBenchOptions& options,
                      BenchReport& report) {
  // Short, to be typed again.
  const std::uint64_t seed = options.check_seed.value_or(std::random_device{}() % 1'000'000 + 1);
  driver.ensure_context();
  StreamOwner stream(driver);
  const Fp8AttentionPools pools(driver, seed);
  const Fp8Point::Bench bench{runtime, driver, stream, pools, seed};
  report.benchmark =
      "fp8_attention, one query token per sequence, 8 query heads per key head, e4m3 in, bf16 and "
      "LSE out";
  report.method = fmt::format(
      "microseconds per call, parts joined, median of {} CUDA graphs of up to {} back-to-back "
      "calls, about 2 ms or one call, interleaved; us: sums of every key tile are added to fp32; "
      "one_level: never, same tiles; cold: the L2 flushed (a fill of twice its size) before each "
      "graph, and every call on buffers of its own, or on larger ones than the L2; programmatic "
      "dependent launches, {} work counters; inputs N(0, 1); pages of a shuffled table, -: "
      "contiguous; MB, GB/s: keys and values; copy: the driver's, that reads half as many bytes "
      "and "
      "writes half; copy/us: what of the copy's rate is reached; checked against the float64 "
      "reference before, with seed {}, and for the same bits after",
      options.rounds, kMaxCallsPerGraph, options.counters ? "with" : "without", seed);
  for (const Fp8AttentionCall& call : calls_of(options)) {
    if (!fits(driver, call)) continue;
    Fp8Point point(bench, call, plan_of(call, options.counters));
    const std::vector<Timing> timings = point.time(options.rounds);
    report.rows.push_back(row_of(call, timings, point));
  }
}

}  // namespace jit::inline v1
