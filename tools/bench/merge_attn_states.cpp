#include "bench/merge_attn_states.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <string>

#include "bench/templates/quantize_e4m3/params.h"
#include "bench/templates/quantize_e4m3_groups/params.h"
#include "jit/kernels/merge_attn_states.hpp"
#include "kernels/random_pool.hpp"
#include "kernels/reference/merge_attn_states.hpp"
#include "load/device_timer.hpp"

namespace jit::inline v1 {
namespace {

constexpr float kScale = 0.1F;
constexpr std::size_t kCallsPerGraph = 64;
constexpr std::size_t kMaxBytesOfSets = std::size_t{2} << 30;

constexpr std::array<MergeScales, 5> kScaleKinds{{{"tensor", 0, false},
                                                  {"group128", 128, false},
                                                  {"group64", 64, false},
                                                  {"group128_ue8m0", 128, true},
                                                  {"group64_ue8m0", 64, true}}};

// One point of the grid and what follows from it.
struct Point {
  std::int64_t tokens;
  std::int64_t heads;
  std::int64_t head_size;
  DType type;
  MergeScales scales;

  std::size_t elements() const { return static_cast<std::size_t>(tokens * heads * head_size); }
  std::size_t input_bytes() const { return elements() * bytes_of(type); }
  std::size_t lse_bytes() const { return static_cast<std::size_t>(tokens * heads) * sizeof(float); }
  std::size_t scale_bytes() const {
    return scales.group == 0 ? 0 : elements() / scales.group * sizeof(float);
  }
  // Each input read once, each output written once.
  std::size_t fused_bytes() const {
    return 2 * input_bytes() + elements() + 2 * lse_bytes() + scale_bytes();
  }
  // Device memory of one OperandSet.
  std::size_t set_bytes() const { return fused_bytes() + input_bytes() + fused_bytes(); }
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
        scales(driver, point.scale_bytes()),
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

  DeviceBuffer prefix, suffix, merged, output, prefix_lse, suffix_lse, scales;
  DeviceBuffer copy_from, copy_to;
};

// The merge in the input type.
kernels::MergeAttnStatesArgs plain_args(const Point& point, const OperandSet& set) {
  kernels::MergeAttnStatesArgs args;
  args.num_tokens = point.tokens;
  args.num_heads = point.heads;
  args.head_size = point.head_size;
  args.input_type = point.type;
  args.prefix_output = set.prefix.as<void>();
  args.suffix_output = set.suffix.as<void>();
  args.prefix_lse = set.prefix_lse.as<float>();
  args.suffix_lse = set.suffix_lse.as<float>();
  args.output = set.merged.as<void>();
  return args;
}

// The merge that quantises too; `scale` is the one of a tensor.
kernels::MergeAttnStatesArgs fused_args(const Point& point, const OperandSet& set,
                                        const DeviceBuffer& scale) {
  kernels::MergeAttnStatesArgs args = plain_args(point, set);
  args.output = set.output.as<void>();
  args.output_group_size = point.scales.group;
  args.use_ue8m0_scales = point.scales.ue8m0;
  if (point.scales.group == 0) args.output_scale = scale.as<float>();
  else args.output_group_scales = set.scales.as<float>();
  return args;
}

// The kernel that quantises what was merged in the input type.
class Quantizer {
 public:
  Quantizer(Runtime& runtime, const Point& point) : point_(point) {
    const std::array<Constant, 3> constants{{{"INPUT_TYPE", point.type},
                                             {"GROUP_SIZE", point.scales.group},
                                             {"USE_UE8M0_SCALES", point.scales.ue8m0}}};
    const bool groups = point.scales.group != 0;
    kernel_ = runtime.get_kernel(groups ? "quantize_e4m3_groups" : "quantize_e4m3",
                                 std::span(constants).first(groups ? 3 : 1));
  }

  void launch(const OperandSet& set, const DeviceBuffer& scale, Stream stream) const {
    const unsigned long long packs = point_.input_bytes() / 16;
    const auto threads = static_cast<std::uint32_t>(kernel_.info().constant("THREADS").as_int());
    const auto blocks = static_cast<std::uint32_t>((packs + threads - 1) / threads);
    if (point_.scales.group == 0) {
      const cubinet::quantize_e4m3::Params params{set.merged.as<void>(), set.output.as<void>(),
                                                  scale.as<float>(), packs};
      kernel_.launch(blocks, threads, stream, params);
    } else {
      const cubinet::quantize_e4m3_groups::Params params{
          set.merged.as<void>(), set.output.as<void>(), set.scales.as<float>(), packs};
      kernel_.launch(blocks, threads, stream, params);
    }
  }

 private:
  Point point_;
  Kernel kernel_;
};

// Everything that is timed at one point.
class PointBench {
 public:
  PointBench(Runtime& runtime, Driver& driver, StreamOwner& stream, const Point& point,
             const RandomPool& pool)
      : runtime_(runtime), stream_(stream), point_(point), quantizer_(runtime, point) {
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
    auto args = fused_args(point_, *sets_[call % sets_.size()], scale_);
    args.programmatic_dependent = dependent;
    kernels::merge_attn_states(runtime_, args, stream_.get());
  }
  void pair(std::size_t call) {
    const OperandSet& set = *sets_[call % sets_.size()];
    kernels::merge_attn_states(runtime_, plain_args(point_, set), stream_.get());
    quantizer_.launch(set, scale_, stream_.get());
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
  Quantizer quantizer_;
};

BenchRow row_of(const Point& point, const std::vector<Timing>& timings) {
  const double fused = timings[0].median_us;
  const auto bytes = static_cast<double>(point.fused_bytes());
  BenchRow row;
  row.point = {{"tokens", std::to_string(point.tokens)},
               {"heads", std::to_string(point.heads)},
               {"scales", std::string(point.scales.name)}};
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

// What is asked for, kind of scales by kind.
std::vector<Point> points_of(const MergeBenchOptions& options) {
  const bool chosen = !options.scales.empty();
  const std::vector<MergeScales> kinds =
      chosen ? options.scales : std::vector<MergeScales>(kScaleKinds.begin(), kScaleKinds.end());
  const std::int64_t most_heads = *std::max_element(options.heads.begin(), options.heads.end());
  std::vector<Point> points;
  for (const MergeScales& scales : kinds) {
    const bool fits = scales.group == 0 || options.head_size % scales.group == 0;
    if (!fits && !chosen) continue;
    for (const std::int64_t tokens : options.tokens) {
      for (const std::int64_t heads : options.heads) {
        if (!chosen && scales.group != 0 && heads != most_heads) continue;
        points.push_back({tokens, heads, options.head_size, options.input_type, scales});
      }
    }
  }
  return points;
}

// Without a prefix nothing is merged or rounded before it is quantised.
void check_pair_without_merge(Runtime& runtime, const Point& point, OperandSet& set,
                              StreamOwner& stream) {
  const DeviceBuffer no_scale;
  auto fused = fused_args(point, set, no_scale);
  auto plain = plain_args(point, set);
  fused.num_context_tokens = plain.num_context_tokens = 0;
  kernels::merge_attn_states(runtime, fused, stream.get());
  stream.synchronize();
  const auto codes = set.output.to_vector<std::byte>();
  const auto scales = set.scales.to_vector<std::byte>();
  set.output.fill_async(0x7f, stream.get());
  set.scales.fill_async(0x7f, stream.get());
  kernels::merge_attn_states(runtime, plain, stream.get());
  Quantizer(runtime, point).launch(set, no_scale, stream.get());
  stream.synchronize();
  if (set.output.to_vector<std::byte>() == codes && set.scales.to_vector<std::byte>() == scales) {
    return;
  }
  throw Error(ErrorCode::kInternal,
              fmt::format("check merge_attn_states: {}: fused and unfused differ where nothing is "
                          "merged",
                          point.scales.name));
}

}  // namespace

std::span<const MergeScales> merge_scales() noexcept { return kScaleKinds; }

void check_merge_attn_states(Runtime& runtime, Driver& driver, const MergeScales& scales,
                             std::uint64_t seed) {
  const Point point{257, 5, 128, DType::kBF16, scales};
  driver.ensure_context();
  StreamOwner stream(driver);
  const RandomPool pool(point.type, seed);
  OperandSet set(driver, point);
  set.fill(pool);
  const DeviceBuffer scale = DeviceBuffer::of(driver, std::span<const float>(&kScale, 1));
  set.output.fill_async(0x7f, stream.get());  // a NaN code: an element left out is seen
  set.scales.fill_async(0xff, stream.get());
  kernels::merge_attn_states(runtime, fused_args(point, set, scale), stream.get());
  stream.synchronize();

  reference::MergeProblem problem;
  problem.input_type = point.type;
  problem.fp8_output = true;
  problem.num_tokens = problem.num_context_tokens = static_cast<std::uint32_t>(point.tokens);
  problem.num_heads = static_cast<std::uint32_t>(point.heads);
  problem.head_size = static_cast<std::uint32_t>(point.head_size);
  problem.input_head_stride = problem.output_head_stride = problem.head_size;
  problem.output_scale = kScale;
  problem.group_size = scales.group;
  problem.ue8m0_scales = scales.ue8m0;
  problem.scale_token_stride =
      scales.group == 0 ? 0 : problem.num_heads * (problem.head_size / scales.group);
  problem.scale_group_stride = 1;
  const auto prefix = set.prefix.to_vector<std::byte>();
  const auto suffix = set.suffix.to_vector<std::byte>();
  const auto prefix_lse = set.prefix_lse.to_vector<float>();
  const auto suffix_lse = set.suffix_lse.to_vector<float>();
  problem.prefix_output = prefix.data();
  problem.suffix_output = suffix.data();
  problem.prefix_lse = prefix_lse.data();
  problem.suffix_lse = suffix_lse.data();
  const auto output = set.output.to_vector<std::byte>();
  const auto group_scales = set.scales.to_vector<float>();
  const reference::MergeCheck check =
      reference::check_merge(problem, output.data(), nullptr, group_scales.data());
  if (!check.passed(problem)) {
    throw Error(ErrorCode::kInternal,
                fmt::format("check merge_attn_states: {}: {} of {} elements and {} scales are "
                            "wrong, {} identical; {} (seed {})",
                            scales.name, check.wrong, check.elements, check.wrong_scales,
                            check.identical, check.first_failure, seed));
  }
  if (scales.group != 0) check_pair_without_merge(runtime, point, set, stream);
}

void bench_merge_attn_states(Runtime& runtime, Driver& driver, const MergeBenchOptions& options,
                             BenchReport& report) {
  // Short, to be typed again.
  const std::uint64_t seed = options.check_seed.value_or(std::random_device{}() % 1'000'000 + 1);
  const std::vector<Point> points = points_of(options);
  for (const MergeScales& scales : kScaleKinds) {
    const auto is_timed = [&](const Point& point) { return point.scales.name == scales.name; };
    if (std::none_of(points.begin(), points.end(), is_timed)) continue;
    check_merge_attn_states(runtime, driver, scales, seed);
  }
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
      "driver's, of as many bytes in all; scales: one static one of the tensor, or row-major ones "
      "found for each group; checked against the float64 reference with seed {}",
      kCallsPerGraph, seed);
  for (const Point& point : points) {
    PointBench bench(runtime, driver, stream, point, pool);
    report.rows.push_back(
        row_of(point, time_variants(driver, stream, bench.variants(), options.rounds)));
  }
}

}  // namespace jit::inline v1
