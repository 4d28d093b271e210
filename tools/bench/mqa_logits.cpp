#include "bench/mqa_logits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <set>
#include <span>

#include "kernels/mqa_operands.hpp"
#include "load/device_timer.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxCallsPerGraph = 64;
constexpr std::size_t kMinCallsPerGraph = 8;
constexpr std::size_t kMaxBytesOfSets = std::size_t{6} << 30;
constexpr std::uint8_t kPoison = 0xFF;  // no right score
constexpr std::uint64_t kSeed = 1;      // of what is timed
constexpr double kFlopsPerGraph = 8e12;

// What is timed of a point, in this order.
enum Variant : std::size_t { kScores, kScoresPlain, kCompressed, kClean, kCopy, kVariants };

// Throws kInternal unless logits, poisoned before the launch, are right; `sample`: tokens whose
// scores are computed, all if empty.
void expect_right(const MqaCall& call, const MqaDevicePool& pool, const MqaSet& set,
                  std::span<const std::int64_t> sample, std::uint64_t seed = kSeed) {
  const std::string wrong = judge_mqa(call, pool, set.logits.to_vector<std::byte>(), sample);
  if (wrong.empty()) return;
  throw Error(ErrorCode::kInternal,
              fmt::format("check mqa_logits: {} tokens, {} keys, {} heads, {}{}{}: {} (seed {})",
                          call.num_tokens, call.num_keys, call.num_heads, name_of(call.ranges),
                          call.compressed_logits ? ", compressed" : "",
                          call.clean_logits ? ", clean" : "", wrong, seed));
}

// The operands of one call, and room for the driver's copy.
struct OperandSet {
  OperandSet(Driver& driver, const MqaCall& call)
      : operands(driver, call), copy_to(driver, call.bytes() / 2 / 512 * 512) {}
  MqaSet operands;
  DeviceBuffer copy_to;
};

class PointBench {
 public:
  PointBench(Runtime& runtime, Driver& driver, StreamOwner& stream, const MqaCall& call)
      : runtime_(runtime),
        driver_(driver),
        stream_(stream),
        call_(call),
        pool_(driver, call.head_dim, 0, kSeed) {
    const std::size_t set_bytes = call.bytes() * 2;
    const std::size_t count =
        std::clamp<std::size_t>(kMaxBytesOfSets / set_bytes, 2, kMaxCallsPerGraph);
    for (std::size_t i = 0; i < count; ++i) {
      sets_.push_back(std::make_unique<OperandSet>(driver, call));
      sets_.back()->operands.fill(pool_, stream.get());
    }
    stream.synchronize();
  }

  BenchRow row(int rounds) {
    const auto calls =
        std::clamp<std::size_t>(static_cast<std::size_t>(kFlopsPerGraph / call_.flops()),
                                kMinCallsPerGraph, kMaxCallsPerGraph);
    std::vector<TimedVariant> variants;
    for (std::size_t variant = 0; variant < kVariants; ++variant) {
      variants.push_back(
          {[=, this](std::size_t number) { enqueue(variant, number); }, calls, true});
    }
    const std::vector<Timing> timings = time_variants(driver_, stream_, variants, rounds);
    verify();
    return row_of(timings);
  }

 private:
  void enqueue(std::size_t variant, std::size_t number) {
    OperandSet& set = *sets_[number % sets_.size()];
    if (variant == kCopy) return copy(set);
    kernels::MqaLogitsArgs args = mqa_args(call_, set.operands);
    args.programmatic_dependent = variant != kScoresPlain;
    args.compressed_logits = variant == kCompressed;
    args.clean_logits = variant == kClean;
    kernels::mqa_logits(runtime_, args, stream_.get());
  }
  // What each variant writes once more, after it was timed.
  void verify() {
    const std::array<std::int64_t, 2> sample{0, call_.num_tokens - 1};
    for (const Variant variant : {kScores, kScoresPlain, kCompressed, kClean}) {
      sets_[0]->operands.logits.fill_async(kPoison, stream_.get());
      enqueue(variant, 0);
      stream_.synchronize();
      MqaCall asked = call_;
      asked.compressed_logits = variant == kCompressed;
      asked.clean_logits = variant == kClean;
      expect_right(asked, pool_, sets_[0]->operands, sample);
    }
  }
  // From the scores, which are larger.
  void copy(const OperandSet& set) {
    driver_.check(
        driver_.api().copy_async(
            set.copy_to.address(), set.operands.logits.address(),
            std::min(set.copy_to.size_bytes(), set.operands.logits.size_bytes()), stream_.get()),
        "copy buffer", "cuMemcpyDtoDAsync");
  }
  BenchRow row_of(const std::vector<Timing>& timings) const {
    const double scores = timings[kScores].median_us;
    const auto bytes = static_cast<double>(call_.bytes());
    BenchRow row;
    row.point = {{"tokens", std::to_string(call_.num_tokens)},
                 {"keys", std::to_string(call_.num_keys)},
                 {"ranges", std::string(name_of(call_.ranges))},
                 {"heads", std::to_string(call_.num_heads)},
                 {"logits", std::string(name_of(call_.logits_type))}};
    row.figures = {{"MB", bytes / 1e6},
                   {"us", scores},
                   {"no_pdl_us", timings[kScoresPlain].median_us},
                   {"compressed_us", timings[kCompressed].median_us},
                   {"clean_us", timings[kClean].median_us},
                   {"copy_us", timings[kCopy].median_us},
                   {"share_of_copy", timings[kCopy].median_us / scores},
                   {"TB/s", bytes / scores / 1e6},
                   {"TFLOP/s", call_.flops() / scores / 1e6},
                   {"min_us", timings[kScores].min_us},
                   {"max_us", timings[kScores].max_us}};
    return row;
  }

  Runtime& runtime_;
  Driver& driver_;
  StreamOwner& stream_;
  MqaCall call_;
  MqaDevicePool pool_;
  std::vector<std::unique_ptr<OperandSet>> sets_;
};

std::vector<MqaCall> calls_of(const MqaBenchOptions& options) {
  using List = std::vector<std::int64_t>;
  const auto or_else = [](const List& asked, List standard) {
    return asked.empty() ? standard : asked;
  };
  const bool is_asked = !options.tokens.empty() || !options.keys.empty();
  const List tokens = or_else(options.tokens, options.quick ? List{2048} : List{2048, 4096});
  const List keys = or_else(options.keys, options.quick ? List{8192} : List{4096, 8192});
  const List heads = or_else(options.heads, {64, 32});
  std::vector<MqaCall> calls;
  const auto add = [&](std::int64_t m, std::int64_t n, std::int64_t h, MqaRanges ranges) {
    MqaCall call;
    call.num_tokens = m;
    call.num_keys = n;
    call.num_heads = h;
    call.head_dim = options.head_dim;
    call.logits_type = options.logits_type.value_or(DType::kF32);
    call.ranges = ranges;
    calls.push_back(call);
  };
  for (const std::int64_t h : heads) {
    for (const std::int64_t m : tokens) {
      for (const std::int64_t n : keys) {
        if (n >= m) add(m, n, h, MqaRanges::kCausal);
      }
    }
  }
  if (is_asked) return calls;
  add(2048, 8192, heads.front(), MqaRanges::kPacked);
  if (!options.quick) add(2048, 65536, heads.front(), MqaRanges::kCausal);
  return calls;
}

constexpr std::int64_t kCheckTokens = 150;
constexpr std::int64_t kCheckKeys = 777;

void check_call(Runtime& runtime, Driver& driver, const MqaCall& call, std::uint64_t seed) {
  driver.ensure_context();
  StreamOwner stream(driver);
  const MqaDevicePool pool(driver, call.head_dim, 0, seed);
  MqaSet set(driver, call);
  set.fill(pool, stream.get());
  set.logits.fill_async(kPoison, stream.get());
  kernels::mqa_logits(runtime, mqa_args(call, set), stream.get());
  stream.synchronize();
  expect_right(call, pool, set, {}, seed);
}

// Each kernel that is timed is checked.
void check_calls(Runtime& runtime, Driver& driver, const std::vector<MqaCall>& calls,
                 std::uint64_t seed) {
  std::set<std::int64_t> checked;
  for (MqaCall call : calls) {
    if (!checked.insert(call.num_heads).second) continue;
    call.num_tokens = kCheckTokens;
    call.num_keys = kCheckKeys;
    for (const MqaRanges ranges : {MqaRanges::kCausal, MqaRanges::kPacked}) {
      for (const bool compressed : {false, true}) {
        call.ranges = ranges;
        call.compressed_logits = compressed;
        call.clean_logits = false;
        check_call(runtime, driver, call, seed);
        call.clean_logits = true;
        check_call(runtime, driver, call, seed);
      }
    }
  }
}

}  // namespace

void bench_mqa_logits(Runtime& runtime, Driver& driver, const MqaBenchOptions& options,
                      BenchReport& report) {
  // Short, to be typed again.
  const std::uint64_t seed = options.check_seed.value_or(std::random_device{}() % 1'000'000 + 1);
  const std::vector<MqaCall> calls = calls_of(options);
  if (calls.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "bench mqa_logits: no point has as many keys as tokens; give more --keys or fewer "
                "--tokens");
  }
  check_calls(runtime, driver, calls, seed);
  StreamOwner stream(driver);
  report.benchmark = fmt::format("mqa_logits, head dim {}", options.head_dim);
  report.method = fmt::format(
      "microseconds per call, median of {} CUDA graphs of {} to {} back-to-back calls, variants "
      "interleaved; cold: the L2 flushed (a fill of twice its size) before each graph, and every "
      "call on buffers of its own, or on larger ones than the L2; programmatic dependent launches "
      "but for no_pdl; copy: the driver's, of as many bytes in all; causal: the last tokens of one "
      "sequence, packed: those of four; checked against the float64 reference before, with "
      "seed {}, and after",
      options.rounds, kMinCallsPerGraph, kMaxCallsPerGraph, seed);
  for (const MqaCall& call : calls) {
    PointBench bench(runtime, driver, stream, call);
    report.rows.push_back(bench.row(options.rounds));
  }
}

}  // namespace jit::inline v1
