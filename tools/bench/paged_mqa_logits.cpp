#include "bench/paged_mqa_logits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include "kernels/paged_mqa_operands.hpp"
#include "load/device_timer.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxCallsPerGraph = 64;
constexpr std::size_t kMinCallsPerGraph = 8;
constexpr std::size_t kMaxBytesOfSets = std::size_t{6} << 30;
constexpr std::uint8_t kPoison = 0xFF;  // no right score
constexpr std::uint64_t kBytesPerGraph = 4'000'000'000;

// All next_n over the same requests.
struct Point {
  PagedMqaRequests::Shape requests;
  std::int64_t heads;
  DType type;
  std::vector<std::int64_t> next_n;
};

// One next_n of one set: the native call, and the same flattened to one token per request.
struct Call {
  Call(Driver& driver, const PagedMqaRequests& requests, const PagedMqaCall& what, int workers)
      : native(driver, requests, what, workers) {
    const std::vector<std::int32_t> lens = requests.token_lens(what.next_n);
    const std::vector<std::int32_t> table = requests.table_of(what.next_n);
    const std::vector<std::int32_t> schedule = paged_mqa_schedule(lens, 1, workers);
    flat_table = DeviceBuffer::of(driver, std::span<const std::int32_t>(table));
    flat_schedule = DeviceBuffer::of(driver, std::span<const std::int32_t>(schedule));
  }
  PagedMqaSet native;
  DeviceBuffer flat_table, flat_schedule;
};

// Operands at addresses of their own for every next_n, and room for the driver's copy.
struct OperandSet {
  OperandSet(Driver& driver, const PagedMqaRequests& requests, std::size_t copy_bytes)
      : cache(driver, requests), copy_to(driver, copy_bytes) {}
  PagedMqaCache cache;
  DeviceBuffer copy_to;
  std::vector<std::unique_ptr<Call>> calls;  // as Point::next_n
};

// Lengths and a schedule for each call of a graph: both are small, so that calls which shared them
// would find them in the L2.
struct MetadataSet {
  DeviceBuffer context_lens, schedule;
};

// What is timed of one next_n, in this order.
enum Variant : std::size_t {
  kScores,
  kScoresPlain,
  kScoresAlone,
  kScoresAfterMetadata,
  kMetadata,
  kMetadataPlain,
  kFlat,
  kCopy,
  kVariants
};

// Everything that is timed at one point.
class PointBench {
 public:
  PointBench(Runtime& runtime, Driver& driver, StreamOwner& stream, const Point& point)
      : runtime_(runtime),
        driver_(driver),
        stream_(stream),
        point_(point),
        requests_(point.requests, 1),
        pool_(driver, point.requests.head_dim, point.requests.block_kv, 1) {
    for (const std::int64_t n : point.next_n) asks_.push_back({n, point.heads, point.type, false});
    for (const PagedMqaCall& ask : asks_) bytes_.push_back(paged_mqa_bytes(requests_, ask));
    make_sets();
  }

  std::vector<BenchRow> rows(int rounds) {
    std::vector<TimedVariant> variants;
    for (std::size_t n = 0; n < asks_.size(); ++n) {
      for (std::size_t variant = 0; variant < kVariants; ++variant) {
        variants.push_back({[=, this](std::size_t call) { enqueue(variant, n, call); },
                            calls_of(variant, n), true});
      }
    }
    const std::vector<Timing> timings = time_variants(driver_, stream_, variants, rounds);
    std::vector<BenchRow> rows;
    for (std::size_t n = 0; n < asks_.size(); ++n) {
      verify(n);
      rows.push_back(row(n, timings));
    }
    return rows;
  }

 private:
  void make_sets() {
    const int workers = driver_.device(driver_.ensure_context()).sm_count;
    const std::uint64_t most = *std::max_element(bytes_.begin(), bytes_.end());
    const std::uint64_t set_bytes = 2 * most;
    const std::size_t count =
        std::clamp<std::size_t>(kMaxBytesOfSets / set_bytes, 2, kMaxCallsPerGraph);
    for (std::size_t i = 0; i < count; ++i) {
      auto set = std::make_unique<OperandSet>(driver_, requests_, most / 2);
      set->cache.fill(pool_, stream_.get());
      for (const PagedMqaCall& ask : asks_) {
        set->calls.push_back(std::make_unique<Call>(driver_, requests_, ask, workers));
        set->calls.back()->native.fill(pool_, stream_.get());
        set->calls.back()->native.logits.fill_async(kPoison, stream_.get());
      }
      sets_.push_back(std::move(set));
    }
    stream_.synchronize();
    for (const PagedMqaCall& ask : asks_) {
      const std::vector<std::int32_t> lens = requests_.token_lens(ask.next_n);
      std::vector<MetadataSet>& sets = metadata_sets_.emplace_back();
      for (std::size_t i = 0; i < kMaxCallsPerGraph; ++i) {
        sets.push_back({DeviceBuffer::of(driver_, std::span<const std::int32_t>(lens)),
                        DeviceBuffer(driver_, (static_cast<std::size_t>(workers) + 1) * 8)});
      }
    }
  }

  std::size_t calls_of(std::size_t variant, std::size_t n) const {
    if (variant == kMetadata || variant == kMetadataPlain) return kMaxCallsPerGraph;
    return std::clamp<std::size_t>(kBytesPerGraph / bytes_[n], kMinCallsPerGraph,
                                   kMaxCallsPerGraph);
  }

  void enqueue(std::size_t variant, std::size_t n, std::size_t call) {
    OperandSet& set = *sets_[call % sets_.size()];
    auto args = paged_mqa_args(requests_, asks_[n], set.cache, set.calls[n]->native);
    const bool dependent = variant != kScoresPlain && variant != kMetadataPlain;
    args.programmatic_dependent = dependent;
    // The driver copies sizes that no line divides at two thirds of the rate.
    if (variant == kCopy) return copy(set, bytes_[n] / 2 / 512 * 512);
    if (variant == kFlat) args = flattened(args, *set.calls[n]);
    if (variant == kScoresAlone) args.schedule = nullptr;
    if (variant == kMetadata || variant == kMetadataPlain) {
      const MetadataSet& own = metadata_sets_[n][call % kMaxCallsPerGraph];
      return metadata(args, own.context_lens, own.schedule);
    }
    if (variant == kScoresAfterMetadata) {
      metadata(args, set.calls[n]->native.context_lens, set.calls[n]->native.schedule);
    }
    kernels::paged_mqa_logits(runtime_, args, stream_.get());
  }

  // What the timed calls left behind, and what each variant writes once more.
  void verify(std::size_t n) {
    PagedMqaSet& first = sets_[0]->calls[n]->native;
    const std::vector<std::byte> right = first.logits.to_vector<std::byte>();
    const std::array<std::int64_t, 1> sample{requests_.shape.batch - 1};
    const std::string wrong = judge_paged_mqa(requests_, asks_[n], pool_, right, sample);
    if (!wrong.empty()) fail(n, wrong);
    const auto expect_right = [&](const PagedMqaSet& set, std::string_view which) {
      if (set.logits.to_vector<std::byte>() != right) fail(n, fmt::format("other bits {}", which));
    };
    expect_right(sets_.back()->calls[n]->native, "in the last set of buffers");
    constexpr std::array<std::pair<Variant, std::string_view>, 4> kOnceMore{
        {{kScores, "as a programmatic dependent"},
         {kScoresPlain, "in order"},
         {kScoresAlone, "without a schedule"},
         {kScoresAfterMetadata, "after the scheduler"}}};
    for (const auto& [variant, which] : kOnceMore) {
      first.logits.fill_async(kPoison, stream_.get());
      enqueue(variant, n, 0);
      stream_.synchronize();
      expect_right(first, which);
    }
    const auto schedule = first.schedule.to_vector<std::int32_t>();
    for (const MetadataSet& set : metadata_sets_[n]) {
      if (set.schedule.to_vector<std::int32_t>() != schedule)
        fail(n, "another schedule than before");
    }
  }
  [[noreturn]] void fail(std::size_t n, const std::string& what) const {
    throw Error(ErrorCode::kInternal,
                fmt::format("bench paged_mqa_logits: {} requests of {} keys, {} heads, next_n {}: "
                            "after it was timed, {}",
                            requests_.shape.batch, requests_.shape.context_len, point_.heads,
                            asks_[n].next_n, what));
  }

  static kernels::PagedMqaLogitsArgs flattened(kernels::PagedMqaLogitsArgs args, const Call& call) {
    args.batch *= args.next_n;
    args.next_n = 1;
    args.block_table = call.flat_table.as<std::int32_t>();
    args.schedule = call.flat_schedule.as<std::int32_t>();
    return args;
  }

  void metadata(const kernels::PagedMqaLogitsArgs& of, const DeviceBuffer& lens,
                const DeviceBuffer& schedule) {
    kernels::PagedMqaLogitsMetadataArgs args;
    args.batch = of.batch;
    args.next_n = of.next_n;
    args.max_context_len = of.max_context_len;
    args.num_workers = of.num_workers;
    args.context_lens = lens.as<std::int32_t>();
    args.schedule = schedule.as<std::int32_t>();
    args.programmatic_dependent = of.programmatic_dependent;
    kernels::paged_mqa_logits_metadata(runtime_, args, stream_.get());
  }

  // From the cache, which is larger.
  void copy(const OperandSet& set, std::uint64_t bytes) {
    driver_.check(driver_.api().copy_async(
                      set.copy_to.address(), set.cache.pages.address(),
                      std::min<std::uint64_t>(bytes, set.cache.pages.size_bytes()), stream_.get()),
                  "copy buffer", "cuMemcpyDtoDAsync");
  }

  BenchRow row(std::size_t n, const std::vector<Timing>& timings) const;

  Runtime& runtime_;
  Driver& driver_;
  StreamOwner& stream_;
  Point point_;
  PagedMqaRequests requests_;
  MqaDevicePool pool_;
  std::vector<PagedMqaCall> asks_;
  std::vector<std::uint64_t> bytes_;
  std::vector<std::unique_ptr<OperandSet>> sets_;
  std::vector<std::vector<MetadataSet>>
      metadata_sets_;  // as Point::next_n; of each call of a graph
};

BenchRow PointBench::row(std::size_t n, const std::vector<Timing>& timings) const {
  const auto us = [&](std::size_t which, std::size_t variant) {
    return timings[which * kVariants + variant].median_us;
  };
  // Against the row of another next_n, if that is timed too.
  const auto ratio_to = [&](std::int64_t next_n) {
    for (std::size_t other = 0; other < asks_.size(); ++other) {
      if (asks_[other].next_n == next_n) return us(n, kScores) / us(other, kScores);
    }
    return 0.0;
  };
  const double scores = us(n, kScores);
  const auto bytes = static_cast<double>(bytes_[n]);
  const PagedMqaRequests::Shape& shape = point_.requests;
  BenchRow row;
  row.point = {
      {"batch", std::to_string(shape.batch)},        {"context", std::to_string(shape.context_len)},
      {"lens", shape.ragged ? "ragged" : "equal"},   {"heads", std::to_string(point_.heads)},
      {"logits", std::string(name_of(point_.type))}, {"next_n", std::to_string(asks_[n].next_n)}};
  row.figures = {{"MB", bytes / 1e6},
                 {"us", scores},
                 {"no_pdl_us", us(n, kScoresPlain)},
                 {"no_schedule_us", us(n, kScoresAlone)},
                 {"with_metadata_us", us(n, kScoresAfterMetadata)},
                 {"metadata_us", us(n, kMetadata)},
                 {"metadata_no_pdl_us", us(n, kMetadataPlain)},
                 {"flattened_us", asks_[n].next_n == 1 ? 0 : us(n, kFlat)},
                 {"copy_us", us(n, kCopy)},
                 {"share_of_copy", us(n, kCopy) / scores},
                 {"TB/s", bytes / scores / 1e6},
                 {"TFLOP/s", paged_mqa_flops(requests_, asks_[n]) / scores / 1e6},
                 {"over_n1", ratio_to(1)},
                 {"over_n2", ratio_to(2)},
                 {"min_us", timings[n * kVariants + kScores].min_us},
                 {"max_us", timings[n * kVariants + kScores].max_us}};
  return row;
}

// Batches, contexts and heads that belong together.
struct Block {
  std::vector<std::int64_t> batches;
  std::vector<std::int64_t> contexts;
  std::vector<std::int64_t> heads;
  bool ragged = false;
  DType type = DType::kF32;
};

std::vector<Block> standard_blocks(bool quick) {
  if (quick) return {{{256}, {8192}, {64, 32}}, {{1, 8, 64}, {8192}, {64}}};
  return {{{256}, {4096, 8192, 32768}, {64, 32}},
          {{256}, {8192}, {64, 32}, true},
          {{256}, {8192}, {64}, false, DType::kBF16},
          {{1, 2, 4, 8, 16, 32, 64}, {8192, 32768}, {64}},
          {{1, 8, 64}, {8192}, {32}}};
}

std::vector<Block> blocks_of(const PagedMqaBenchOptions& options) {
  std::vector<Block> blocks = standard_blocks(options.quick);
  const bool is_asked = !options.batches.empty() || !options.contexts.empty();
  if (is_asked) blocks = {{{256}, {8192}, {64}}};
  for (Block& block : blocks) {
    if (!options.batches.empty()) block.batches = options.batches;
    if (!options.contexts.empty()) block.contexts = options.contexts;
    if (!options.heads.empty()) block.heads = options.heads;
    block.type = options.logits_type.value_or(block.type);
    block.ragged = options.ragged.value_or(block.ragged);
  }
  return blocks;
}

std::vector<Point> points_of(const PagedMqaBenchOptions& options) {
  const std::vector<std::int64_t> all{1, 2, 3, 4};
  std::vector<Point> points;
  for (const Block& block : blocks_of(options)) {
    for (const std::int64_t heads : block.heads) {
      for (const std::int64_t context : block.contexts) {
        for (const std::int64_t batch : block.batches) {
          points.push_back({{batch, context, block.ragged, options.head_dim, options.block_kv},
                            heads,
                            block.type,
                            options.next_n.empty() ? all : options.next_n});
        }
      }
    }
  }
  return points;
}

// Each kernel that is timed is checked once.
void check_points(Runtime& runtime, Driver& driver, const std::vector<Point>& points,
                  std::uint64_t seed) {
  std::map<std::array<std::int64_t, 3>, PagedMqaCheckPoint> kinds;
  for (const Point& point : points) {
    for (const std::int64_t n : point.next_n) {
      kinds[{n, point.heads, static_cast<std::int64_t>(point.type)}] = {
          n, point.heads, point.requests.head_dim, point.requests.block_kv, point.type};
    }
  }
  for (const auto& [kind, point] : kinds) check_paged_mqa_logits(runtime, driver, point, seed);
}

}  // namespace

void bench_paged_mqa_logits(Runtime& runtime, Driver& driver, const PagedMqaBenchOptions& options,
                            BenchReport& report) {
  // Short, to be typed again.
  const std::uint64_t seed = options.check_seed.value_or(std::random_device{}() % 1'000'000 + 1);
  const std::vector<Point> points = points_of(options);
  check_points(runtime, driver, points, seed);
  StreamOwner stream(driver);
  report.benchmark = fmt::format("paged_mqa_logits, head dim {}, blocks of {} tokens",
                                 options.head_dim, options.block_kv);
  report.method = fmt::format(
      "microseconds per call, median of {} CUDA graphs of {} to {} back-to-back calls, all next_n "
      "and variants of a point interleaved; cold: the L2 flushed (a fill of twice its size) before "
      "each graph, and every call on buffers of its own, or on larger ones than the L2; us, "
      "no_schedule, with_metadata, metadata, flattened: programmatic dependent launches; us, "
      "no_pdl, flattened: with a schedule made before; flattened: one token per request; copy: the "
      "driver's, of as many bytes in all; ragged: 0.7 to 1.3 of the context; checked against the "
      "float64 reference before, with seed {}, and after",
      options.rounds, kMinCallsPerGraph, kMaxCallsPerGraph, seed);
  for (const Point& point : points) {
    PointBench bench(runtime, driver, stream, point);
    for (BenchRow& row : bench.rows(options.rounds)) report.rows.push_back(std::move(row));
  }
}

}  // namespace jit::inline v1
