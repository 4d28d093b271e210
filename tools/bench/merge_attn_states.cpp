#include "bench/merge_attn_states.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <memory>
#include <random>
#include <string>

#include "bench/device_timer.hpp"
#include "bench/templates/quantize_e4m3/params.h"
#include "jit/kernels/merge_attn_states.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace jit::inline v1 {
namespace {

constexpr float kScale = 0.1F;
constexpr std::size_t kCallsPerGraph = 64;
constexpr std::size_t kMaxBytesOfSets = std::size_t{2} << 30;

// One point of the grid and what follows from it.
struct Point {
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t head_size;
  DType type;

  std::size_t elements() const { return static_cast<std::size_t>(tokens * heads * head_size); }
  std::size_t input_bytes() const { return elements() * bytes_of(type); }
  std::size_t lse_bytes() const { return static_cast<std::size_t>(tokens * heads) * sizeof(float); }
  // Each input read once, the output written once.
  std::size_t fused_bytes() const { return 2 * input_bytes() + elements() + 2 * lse_bytes(); }
  // Device memory of one OperandSet.
  std::size_t set_bytes() const {
    return 3 * input_bytes() + elements() + 2 * lse_bytes() + fused_bytes();
  }
};

// Random values like attention outputs and LSEs; one draw serves all buffers, from other offsets.
class RandomPool {
 public:
  explicit RandomPool(DType type, std::uint64_t seed) : type_(type) {
    std::mt19937_64 engine(seed);
    std::normal_distribution<float> normal;
    std::uniform_int_distribution<int> percent(0, 99);
    values_.resize(kElements * bytes_of(type));
    lses_.resize(kElements);
    for (std::size_t i = 0; i < kElements; ++i) {
      reference::store_element(type, values_.data(), i, static_cast<double>(normal(engine)));
      // Five in a hundred rows have an empty side, as in the public benchmark of this kernel.
      lses_[i] = percent(engine) < 5 ? std::numeric_limits<float>::infinity() : normal(engine);
    }
  }
  void fill_values(DeviceBuffer& buffer, std::size_t salt) const {
    fill(buffer, std::as_bytes(std::span(values_)), salt * 16 * bytes_of(type_));
  }
  void fill_lses(DeviceBuffer& buffer, std::size_t salt) const {
    fill(buffer, std::as_bytes(std::span(lses_)), salt * sizeof(float));
  }

 private:
  static constexpr std::size_t kElements = std::size_t{1} << 20;

  static void fill(DeviceBuffer& buffer, std::span<const std::byte> pool, std::size_t offset) {
    std::vector<std::byte> bytes(buffer.size_bytes());
    for (std::size_t done = 0; done < bytes.size();) {
      offset %= pool.size();
      const std::size_t count = std::min(pool.size() - offset, bytes.size() - done);
      std::copy_n(pool.begin() + static_cast<std::ptrdiff_t>(offset), count,
                  bytes.begin() + static_cast<std::ptrdiff_t>(done));
      done += count;
      offset = 0;
    }
    buffer.upload(bytes);
  }

  DType type_;
  std::vector<std::byte> values_;
  std::vector<float> lses_;
};

// The operands of one call, and as many bytes again for the driver's copy.
struct OperandSet {
  OperandSet(Driver& driver, const Point& point)
      : prefix(driver, point.input_bytes()),
        suffix(driver, point.input_bytes()),
        merged(driver, point.input_bytes()),
        output(driver, point.elements()),
        prefix_lse(driver, point.lse_bytes()),
        suffix_lse(driver, point.lse_bytes()),
        copy_from(driver, point.fused_bytes() / 2),
        copy_to(driver, point.fused_bytes() / 2) {}

  void fill(const RandomPool& pool) {
    pool.fill_values(prefix, 0);
    pool.fill_values(suffix, 1);
    pool.fill_lses(prefix_lse, 0);
    pool.fill_lses(suffix_lse, 1);
    pool.fill_values(copy_from, 2);
  }
  // The same values at other addresses, without another way over the bus.
  void fill_async(const OperandSet& from, Stream stream) {
    prefix.copy_from_async(from.prefix, stream);
    suffix.copy_from_async(from.suffix, stream);
    prefix_lse.copy_from_async(from.prefix_lse, stream);
    suffix_lse.copy_from_async(from.suffix_lse, stream);
    copy_from.copy_from_async(from.copy_from, stream);
  }

  DeviceBuffer prefix, suffix, merged, output, prefix_lse, suffix_lse;
  DeviceBuffer copy_from, copy_to;
};

kernels::MergeAttnStatesArgs args_of(const Point& point, const OperandSet& set,
                                     const float* scale) {
  kernels::MergeAttnStatesArgs args;
  args.num_tokens = point.tokens;
  args.num_heads = point.heads;
  args.head_size = point.head_size;
  args.input_type = point.type;
  args.prefix_output = set.prefix.as<void>();
  args.suffix_output = set.suffix.as<void>();
  args.prefix_lse = set.prefix_lse.as<float>();
  args.suffix_lse = set.suffix_lse.as<float>();
  args.output = scale != nullptr ? set.output.as<void>() : set.merged.as<void>();
  args.output_scale = scale;
  return args;
}

// Everything that is timed at one point.
class PointBench {
 public:
  PointBench(Runtime& runtime, Driver& driver, StreamOwner& stream, const Point& point,
             const RandomPool& pool)
      : runtime_(runtime), stream_(stream), point_(point) {
    // Fewer sets than calls only where those that fit are far larger than any L2.
    const std::size_t sets =
        std::clamp<std::size_t>(kMaxBytesOfSets / point.set_bytes(), 2, kCallsPerGraph);
    for (std::size_t i = 0; i < sets; ++i) {
      sets_.push_back(std::make_unique<OperandSet>(driver, point));
      if (i == 0) sets_[0]->fill(pool);
      else sets_[i]->fill_async(*sets_[0], stream.get());
    }
    stream.synchronize();
    scale_ = DeviceBuffer::of(driver, std::span<const float>(&kScale, 1));
    const std::array<Constant, 1> constants{{{"INPUT_TYPE", point.type}}};
    quantize_ = runtime.get_kernel("quantize_e4m3", std::span<const Constant>(constants));
  }

  std::vector<TimedVariant> variants() {
    return {{[this](std::size_t call) { fused(call, false); }, kCallsPerGraph, true},
            {[this](std::size_t call) { fused(call, true); }, kCallsPerGraph, true},
            {[this](std::size_t call) { pair(call); }, kCallsPerGraph, true},
            {[this](std::size_t call) { copy(call); }, kCallsPerGraph, true},
            {[this](std::size_t) { fused(0, false); }, kCallsPerGraph, false}};
  }

 private:
  void fused(std::size_t call, bool dependent) {
    auto args = args_of(point_, *sets_[call % sets_.size()], scale_.as<float>());
    args.programmatic_dependent = dependent;
    kernels::merge_attn_states(runtime_, args, stream_.get());
  }
  void pair(std::size_t call) {
    const OperandSet& set = *sets_[call % sets_.size()];
    kernels::merge_attn_states(runtime_, args_of(point_, set, nullptr), stream_.get());
    const cubinet::quantize_e4m3::Params params{set.merged.as<void>(), set.output.as<void>(),
                                                scale_.as<float>(), point_.input_bytes() / 16};
    const auto threads = static_cast<std::uint32_t>(quantize_.info().constant("THREADS").as_int());
    const auto blocks = static_cast<std::uint32_t>((params.num_packs + threads - 1) / threads);
    quantize_.launch(blocks, threads, stream_.get(), params);
  }
  void copy(std::size_t call) {
    OperandSet& set = *sets_[call % sets_.size()];
    set.copy_to.copy_from_async(set.copy_from, stream_.get());
  }

  Runtime& runtime_;
  StreamOwner& stream_;
  Point point_;
  std::vector<std::unique_ptr<OperandSet>> sets_;
  DeviceBuffer scale_;
  Kernel quantize_;
};

BenchRow row_of(const Point& point, const std::vector<Timing>& timings) {
  const double fused = timings[0].median_us;
  const auto bytes = static_cast<double>(point.fused_bytes());
  BenchRow row;
  row.point = {{"tokens", std::to_string(point.tokens)}, {"heads", std::to_string(point.heads)}};
  row.figures = {{"MB", bytes / 1e6},
                 {"fused_us", fused},
                 {"fused_pdl_us", timings[1].median_us},
                 {"unfused_us", timings[2].median_us},
                 {"unfused/fused", timings[2].median_us / fused},
                 {"copy_us", timings[3].median_us},
                 {"share_of_copy", timings[3].median_us / fused},
                 {"TB/s", bytes / fused / 1e6},
                 {"hot_us", timings[4].median_us},
                 {"fused_min_us", timings[0].min_us},
                 {"fused_max_us", timings[0].max_us}};
  return row;
}

}  // namespace

void check_merge_attn_states(Runtime& runtime, Driver& driver, std::uint64_t seed) {
  const Point point{257, 5, 128, DType::kBF16};
  driver.ensure_context();
  StreamOwner stream(driver);
  const RandomPool pool(point.type, seed);
  OperandSet set(driver, point);
  set.fill(pool);
  const DeviceBuffer scale = DeviceBuffer::of(driver, std::span<const float>(&kScale, 1));
  set.output.fill_async(0x7f, stream.get());  // a NaN code: an element left out is seen
  kernels::merge_attn_states(runtime, args_of(point, set, scale.as<float>()), stream.get());
  stream.synchronize();

  reference::MergeProblem problem;
  problem.input_type = point.type;
  problem.fp8_output = true;
  problem.num_tokens = problem.num_context_tokens = static_cast<std::uint32_t>(point.tokens);
  problem.num_heads = static_cast<std::uint32_t>(point.heads);
  problem.head_size = static_cast<std::uint32_t>(point.head_size);
  problem.input_head_stride = problem.output_head_stride = problem.head_size;
  problem.output_scale = kScale;
  const auto prefix = set.prefix.to_vector<std::byte>();
  const auto suffix = set.suffix.to_vector<std::byte>();
  const auto prefix_lse = set.prefix_lse.to_vector<float>();
  const auto suffix_lse = set.suffix_lse.to_vector<float>();
  problem.prefix_output = prefix.data();
  problem.suffix_output = suffix.data();
  problem.prefix_lse = prefix_lse.data();
  problem.suffix_lse = suffix_lse.data();
  const auto output = set.output.to_vector<std::byte>();
  const reference::MergeCheck check = reference::check_merge(problem, output.data(), nullptr);
  if (check.passed(problem)) return;
  throw Error(ErrorCode::kInternal,
              fmt::format("check merge_attn_states: {} of {} elements are wrong, {} identical; {} "
                          "(seed {})",
                          check.wrong, check.elements, check.identical, check.first_failure, seed));
}

void bench_merge_attn_states(Runtime& runtime, Driver& driver, const MergeBenchOptions& options,
                             BenchReport& report) {
  // Short, to be typed again.
  const std::uint64_t seed = options.check_seed.value_or(std::random_device{}() % 1'000'000 + 1);
  check_merge_attn_states(runtime, driver, seed);
  StreamOwner stream(driver);
  const RandomPool pool(options.input_type, 1);
  report.benchmark = fmt::format("merge_attn_states {} -> e4m3, head size {}",
                                 name_of(options.input_type), options.head_size);
  report.method = fmt::format(
      "microseconds per call, median of CUDA graphs of {} back-to-back calls, variants "
      "interleaved; "
      "cold: the L2 flushed (a fill of twice its size) before each graph, and every call on "
      "buffers "
      "of its own, as far as 2 GiB of them go; hot: one set of buffers, no flush; copy: the "
      "driver's, of as many bytes in all; checked against the float64 reference with seed {}",
      kCallsPerGraph, seed);
  for (const std::int64_t tokens : options.tokens) {
    for (const std::int64_t heads : options.heads) {
      const Point point{tokens, heads, options.head_size, options.input_type};
      PointBench bench(runtime, driver, stream, point, pool);
      report.rows.push_back(
          row_of(point, time_variants(driver, stream, bench.variants(), options.rounds)));
    }
  }
}

}  // namespace jit::inline v1
