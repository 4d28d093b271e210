#include "bench/fp8_attention_point.hpp"

#include <fmt/format.h>

#include <span>

#include "jit/kernels/fp8_attention.hpp"
#include "kernels/fp8_attention_judge.hpp"
#include "kernels/fp8_attention_launch.hpp"
#include "kernels/fp8_attention_splits.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::uint8_t kPoison = 0xFF;  // no right output
constexpr kernels::OperandCheck kCheck("fp8_attention");

std::string tile_text(const KernelInfo& info) {
  const auto number = [&](std::string_view name) { return info.constant(name).as_int(); };
  return fmt::format("{}x{} c{}", (number("kNumThreads") - 128) / 2, number("kBlockN"),
                     number("kChunk"));
}

}  // namespace

// The operands of one call, and the outputs of both intervals.
struct Fp8Point::Set {
  Set(Driver& driver, const Fp8AttentionCall& call, bool has_copy)
      : inputs(driver, call),
        counters(driver, 2 * sizeof(std::uint32_t)),
        scratch(driver, has_copy ? inputs.k.size_bytes() : 0) {
    for (std::size_t i = 0; i < kFp8Intervals.size(); ++i) {
      outputs[i] = DeviceBuffer(driver, call.output_bytes());
      lses[i] = DeviceBuffer(driver, call.lses() * sizeof(float));
    }
  }
  Fp8AttentionSet inputs;
  std::array<DeviceBuffer, kFp8Intervals.size()> outputs, lses;
  DeviceBuffer counters, scratch;
};

Fp8Point::Fp8Point(const Bench& bench, const Fp8AttentionCall& call, const Fp8PointPlan& plan)
    : bench_(bench), call_(call), plan_(plan) {
  for (std::size_t i = 0; i < plan.sets; ++i) {
    sets_.push_back(std::make_unique<Set>(bench.driver, call, plan.copy));
    sets_.back()->inputs.fill(bench.pools, bench.stream.get());
    sets_.back()->counters.fill_async(0, bench.stream.get());
  }
  const int multiprocessors = bench.driver.device(bench.driver.ensure_context()).sm_count;
  const std::int64_t bytes =
      kernels::fp8_attention_workspace_bytes(args_of(*sets_[0], 0), multiprocessors);
  workspace_ = DeviceBuffer(bench.driver, static_cast<std::size_t>(bytes));
  const kernels::Fp8AttentionArgs args = args_of(*sets_[0], 0);
  splits_ =
      kernels::splits_of(kernels::fp8_attention_operands(kCheck, args), args, multiprocessors);
  bench.stream.synchronize();
}

Fp8Point::~Fp8Point() = default;

kernels::Fp8AttentionArgs Fp8Point::args_of(const Set& set, std::size_t interval) const {
  kernels::Fp8AttentionArgs args = fp8_attention_args(call_, set.inputs);
  args.accum_interval = kFp8Intervals[interval];
  args.output = set.outputs[interval].as<void>();
  args.lse = set.lses[interval].as<float>();
  if (plan_.counters) args.work_counters = set.counters.as<std::uint32_t>();
  if (workspace_.size_bytes() != 0) {
    args.workspace = workspace_.as<void>();
    args.workspace_bytes = static_cast<std::int64_t>(workspace_.size_bytes());
  }
  return args;
}

void Fp8Point::attend(std::size_t interval, std::size_t number) {
  kernels::fp8_attention(bench_.runtime, args_of(*sets_[number % sets_.size()], interval),
                         bench_.stream.get());
}

void Fp8Point::copy(std::size_t number) {
  Set& set = *sets_[number % sets_.size()];
  set.scratch.copy_from_async(set.inputs.k, bench_.stream.get());
}

Fp8Point::Output Fp8Point::output_of(const Set& set, std::size_t interval) const {
  return {set.outputs[interval].to_vector<std::byte>(), set.lses[interval].to_vector<float>()};
}

void Fp8Point::fail(std::size_t interval, const std::string& what) const {
  throw Error(
      ErrorCode::kInternal,
      fmt::format("check fp8_attention: {} sequences of {} query tokens and {} keys, {} "
                  "heads of {} elements, pages of {}, interval {}: {} (seed {})",
                  call_.num_sequences, call_.query_len, call_.key_len, call_.num_heads,
                  call_.head_dim, call_.page_size, kFp8Intervals[interval], what, bench_.seed));
}

void Fp8Point::verify() {
  Fp8AttentionJudge judge(call_, bench_.pools, bench_.seed);
  for (std::size_t i = 0; i < kFp8Intervals.size(); ++i) {
    sets_[0]->outputs[i].fill_async(kPoison, bench_.stream.get());
    sets_[0]->lses[i].fill_async(kPoison, bench_.stream.get());
    attend(i, 0);
    bench_.stream.synchronize();
    right_[i] = output_of(*sets_[0], i);
    const std::string wrong = judge({call_.stored_type(), right_[i].values, right_[i].lse});
    if (!wrong.empty()) fail(i, wrong);
  }
}

// What the timed calls left behind.
void Fp8Point::verify_after() const {
  for (std::size_t i = 0; i < kFp8Intervals.size(); ++i) {
    const Output got = output_of(*sets_.back(), i);
    // Of bits: a NaN that stays one is no difference.
    if (got.values != right_[i].values) fail(i, "other bits of the output when timed");
    if (got.lse != right_[i].lse) fail(i, "other LSEs when timed");
  }
}

std::vector<Timing> Fp8Point::time(int rounds) {
  verify();
  std::vector<TimedVariant> variants;
  for (std::size_t i = 0; i < kFp8Intervals.size(); ++i) {
    variants.push_back({[this, i](std::size_t number) { attend(i, number); }, plan_.calls, true});
  }
  if (plan_.copy) {
    variants.push_back({[this](std::size_t number) { copy(number); }, plan_.calls, true});
  }
  std::vector<Timing> timings = time_variants(bench_.driver, bench_.stream, variants, rounds);
  verify_after();
  return timings;
}

std::string Fp8Point::tiles() const {
  std::array<std::string, kFp8Intervals.size()> texts;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    kernels::Fp8AttentionArgs args = args_of(*sets_[0], i);
    args.num_splits = splits_;
    texts[i] = tile_text(kernels::fp8_attention_kernel(bench_.runtime, args).info());
  }
  return texts[0] == texts[1] ? texts[0] : fmt::format("{} ({})", texts[0], texts[1]);
}

}  // namespace jit::inline v1
