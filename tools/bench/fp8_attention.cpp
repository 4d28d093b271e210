#include "bench/fp8_attention.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <random>

#include "bench/fp8_attention_point.hpp"

namespace jit::inline v1 {
namespace {

// Bursts of about 5 ms: what a server's step takes, and too short for the clocks to fall.
constexpr double kFlopsPerGraph = 3.5e12;
constexpr std::size_t kMinCallsPerGraph = 2;
constexpr std::size_t kMaxCallsPerGraph = 64;
constexpr std::size_t kMaxBytesOfSets = std::size_t{6} << 30;

Fp8PointPlan plan_of(const Fp8AttentionCall& call, bool counters) {
  Fp8PointPlan plan;
  plan.calls = std::clamp<std::size_t>(static_cast<std::size_t>(kFlopsPerGraph / fp8_flops(call)),
                                       kMinCallsPerGraph, kMaxCallsPerGraph);
  const std::size_t set_bytes = call.bytes() + call.output_bytes();
  plan.sets = std::clamp<std::size_t>(kMaxBytesOfSets / set_bytes, 2, plan.calls);
  plan.counters = counters;
  return plan;
}

BenchRow row_of(const Fp8AttentionCall& call, const std::vector<Timing>& timings,
                const Fp8Point& point, const Fp8AttentionPeer& peer, int multiprocessors) {
  const double two = timings[0].median_us;
  const double one = timings[1].median_us;
  const double floor = fp8_floor_us(call, multiprocessors);
  BenchRow row;
  row.point = {{"head_dim", std::to_string(call.head_dim)},
               {"shape", Fp8Shape{call.num_sequences, call.query_len}.name()},
               {"heads", fmt::format("{}/{}", call.num_heads, call.num_kv_heads)},
               {"tile", point.tiles()}};
  row.figures = {{"us", two},
                 {"TFLOP/s", fp8_flops(call) / two / 1e6},
                 {"one_level_us", one},
                 {"one_level_TFLOP/s", fp8_flops(call) / one / 1e6},
                 {"two/one", two / one},
                 {"floor_us", floor},
                 {"floor/us", floor / two},
                 {"fa3_two_us", peer.two_levels_us},
                 {"fa3_one_us", peer.one_level_us},
                 {"fa3_bf16_us", peer.bf16_us},
                 {"fa3_two/us", peer.two_levels_us / two},
                 {"fa3_one/us", peer.one_level_us / two},
                 {"fa3_bf16/us", peer.bf16_us / two},
                 {"min_us", timings[0].min_us},
                 {"max_us", timings[0].max_us},
                 {"one_level_min_us", timings[1].min_us},
                 {"one_level_max_us", timings[1].max_us}};
  return row;
}

std::vector<Fp8AttentionCall> calls_of(const Fp8PrefillBenchOptions& options) {
  std::vector<std::int64_t> head_dims = options.head_dims;
  if (head_dims.empty()) head_dims.assign(kFp8HeadDims.begin(), kFp8HeadDims.end());
  std::vector<Fp8Shape> shapes = options.shapes;
  if (shapes.empty() && options.quick) shapes = {{1, 16384}, {4, 4096}, {16, 1024}};
  if (shapes.empty()) shapes.assign(kFp8Shapes.begin(), kFp8Shapes.end());
  std::vector<Fp8AttentionCall> calls;
  for (const std::int64_t head_dim : head_dims) {
    for (const Fp8Shape& shape : shapes) {
      Fp8AttentionCall call;
      set_fp8_heads(call, head_dim);
      call.num_sequences = shape.batch;
      call.query_len = call.key_len = shape.length;
      calls.push_back(call);
    }
  }
  return calls;
}

}  // namespace

void bench_fp8_prefill(Runtime& runtime, Driver& driver, const Fp8PrefillBenchOptions& options,
                       BenchReport& report) {
  // Short, to be typed again.
  const std::uint64_t seed = options.check_seed.value_or(std::random_device{}() % 1'000'000 + 1);
  const int multiprocessors = driver.device(driver.ensure_context()).sm_count;
  StreamOwner stream(driver);
  const Fp8AttentionPools pools(driver, seed);
  const Fp8Point::Bench bench{runtime, driver, stream, pools, seed};
  const bool has_peers = report.gpu == kFp8AttentionPeerGpu;
  report.benchmark = "fp8_attention, causal, 8 query heads per key head, e4m3 in, bf16 and LSE out";
  report.method = fmt::format(
      "microseconds per call, median of {} CUDA graphs of {} to {} back-to-back calls, about 5 ms, "
      "both kinds interleaved; us: sums of every key tile are added to fp32; one_level: never, "
      "same "
      "tiles; cold: the L2 flushed (a fill of twice its size) before each graph, and every call on "
      "buffers of its own, or on larger ones than the L2; programmatic dependent launches, {} work "
      "counters; inputs N(0, 1); TFLOP/s of 2 * batch * length^2 * heads * head_dim; floor: the "
      "longest of the products at {:.0f} TFLOP/s, the exponentials at {:.0f} per cycle and "
      "multiprocessor at {:.2f} GHz, the bytes at {:.1f} TB/s; fa3: FlashAttention-3 in another "
      "run, "
      "with two levels, with one, and of bf16; checked against the float64 reference before, with "
      "seed {}, and for the same bits after",
      options.rounds, kMinCallsPerGraph, kMaxCallsPerGraph, options.counters ? "with" : "without",
      kDenseFp8Flops / 1e12, kExponentialsPerCycle, kCyclesPerSecond / 1e9,
      kCopyBytesPerSecond / 1e12, seed);
  for (const Fp8AttentionCall& call : calls_of(options)) {
    Fp8Point point(bench, call, plan_of(call, options.counters));
    const std::vector<Timing> timings = point.time(options.rounds);
    const Fp8AttentionPeer peer = has_peers ? fp8_peer_of(call) : Fp8AttentionPeer{};
    report.rows.push_back(row_of(call, timings, point, peer, multiprocessors));
  }
}

}  // namespace jit::inline v1
