#include "bench/mla_prefill.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <random>

#include "bench/mla_prefill_peers.hpp"
#include "bench/quantizer.hpp"
#include "kernels/mla_prefill_judge.hpp"
#include "load/device_timer.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kMaxCallsPerGraph = 64;
constexpr std::size_t kMinCallsPerGraph = 2;
constexpr std::size_t kMaxBytesOfSets = std::size_t{6} << 30;
constexpr std::uint8_t kPoison = 0xFF;  // no right output
constexpr double kFlopsPerGraph = 6e12;
constexpr int kRoundsOfChoice = 5;

// What is timed of a point, in this order; the last one leaves its output behind.
enum Variant : std::size_t {
  kBf16,
  kUnfused,
  kQuantise,
  kCopy,
  kBf16NoCounters,
  kFusedNoCounters,
  kFused,
  kVariants
};

// The operands of one call with FP8 output, and as many bytes again for the driver's copy.
struct OperandSet {
  OperandSet(Driver& driver, const MlaPrefillCall& call)
      : inputs(driver, call),
        plain(driver, call.output_elements() * 2),
        codes(driver, call.output_elements()),
        counters(driver, 2 * sizeof(std::uint32_t)),
        copy_from(driver, call.bytes() / 2 / 512 * 512),
        copy_to(driver, copy_from.size_bytes()) {}
  void fill(const NormalPool& pool, Stream stream) {
    inputs.fill(pool, stream);
    pool.fill(copy_from, 0, stream);
    counters.fill_async(0, stream);
  }
  MlaPrefillSet inputs;
  DeviceBuffer plain, codes, counters, copy_from, copy_to;
};

std::string name_of(const MlaPrefillCall& call) {
  return MlaPrefillSpec{call.num_sequences, call.query_len}.name();
}

class PointBench {
 public:
  // `call` asks for FP8 output.
  PointBench(Runtime& runtime, Driver& driver, StreamOwner& stream, const MlaPrefillCall& call,
             std::uint64_t seed)
      : runtime_(runtime),
        driver_(driver),
        stream_(stream),
        call_(call),
        seed_(seed),
        pool_(driver, seed),
        judge_(call, pool_, seed),
        scale_(DeviceBuffer::of(driver, std::span<const float>(&kMlaPrefillScale, 1))) {
    calls_ = std::clamp<std::size_t>(static_cast<std::size_t>(kFlopsPerGraph / call.flops()),
                                     kMinCallsPerGraph, kMaxCallsPerGraph);
    // Of inputs and outputs, twice for the copy.
    const std::size_t set_bytes = 2 * call.bytes() + call.output_elements() * 2;
    const std::size_t count = std::clamp<std::size_t>(kMaxBytesOfSets / set_bytes, 2, calls_);
    for (std::size_t i = 0; i < count; ++i) {
      sets_.push_back(std::make_unique<OperandSet>(driver, call));
      sets_.back()->fill(pool_, stream.get());
    }
    stream.synchronize();
  }

  BenchRow row(const MlaPrefillBenchOptions& options, bool has_peers);

 private:
  struct Outputs {
    std::vector<std::byte> plain, codes;
  };

  void enqueue(std::size_t variant, std::size_t number);
  void attend(OperandSet& set, bool fp8, bool counters);
  // Poisons set 0, runs the variant on it once, and returns what it left.
  Outputs once(std::size_t variant);
  void verify();
  void verify_unfused();
  void verify_after() const;
  void choose_quantizer();
  [[noreturn]] void fail(std::string_view variant, const std::string& what) const;
  BenchRow row_of(const std::vector<Timing>& timings, bool has_peers) const;

  Runtime& runtime_;
  Driver& driver_;
  StreamOwner& stream_;
  MlaPrefillCall call_;
  std::uint64_t seed_;
  NormalPool pool_;
  MlaPrefillJudge judge_;
  DeviceBuffer scale_;
  std::size_t calls_ = 0;
  std::vector<std::unique_ptr<OperandSet>> sets_;
  Quantizer quantizer_;
  bool counters_ = true;
  Outputs right_;
};

void PointBench::attend(OperandSet& set, bool fp8, bool counters) {
  kernels::MlaPrefillArgs args = mla_prefill_args(call_, set.inputs);
  args.output = (fp8 ? set.codes : set.plain).as<void>();
  if (fp8) args.output_scale = scale_.as<float>();
  if (counters) args.work_counters = set.counters.as<std::uint32_t>();
  kernels::mla_prefill(runtime_, args, stream_.get());
}

void PointBench::enqueue(std::size_t variant, std::size_t number) {
  OperandSet& set = *sets_[number % sets_.size()];
  const auto quantise = [&](const Quantizer& quantizer) {
    quantizer.launch({set.plain, set.codes, scale_}, stream_.get());
  };
  switch (variant) {
    case kBf16: return attend(set, false, counters_);
    case kUnfused: attend(set, false, counters_); return quantise(quantizer_);
    case kQuantise: return quantise(quantizer_);
    case kCopy: return set.copy_to.copy_from_async(set.copy_from, stream_.get());
    case kBf16NoCounters: return attend(set, false, false);
    case kFusedNoCounters: return attend(set, true, false);
    default: return attend(set, true, counters_);
  }
}

PointBench::Outputs PointBench::once(std::size_t variant) {
  sets_[0]->plain.fill_async(kPoison, stream_.get());
  sets_[0]->codes.fill_async(kPoison, stream_.get());
  enqueue(variant, 0);
  stream_.synchronize();
  return {sets_[0]->plain.to_vector<std::byte>(), sets_[0]->codes.to_vector<std::byte>()};
}

void PointBench::fail(std::string_view variant, const std::string& what) const {
  throw Error(ErrorCode::kInternal,
              fmt::format("check mla_prefill: {}, {} heads, {}: {} (seed {})", name_of(call_),
                          call_.num_heads, variant, what, seed_));
}

void PointBench::verify() {
  MlaPrefillCall plain = call_;
  plain.fp8 = false;
  right_.plain = once(kBf16).plain;
  std::string wrong = judge_(plain, {right_.plain});
  if (!wrong.empty()) fail("bf16 output", wrong);
  right_.codes = once(kFused).codes;
  wrong = judge_({right_.codes, {}, {}, right_.plain});
  if (!wrong.empty()) fail("FP8 output", wrong);
  verify_unfused();
  if (!counters_) return;
  if (once(kBf16NoCounters).plain != right_.plain)
    fail("bf16 output", "other bits without counters");
  if (once(kFusedNoCounters).codes != right_.codes)
    fail("FP8 output", "other bits without counters");
}

void PointBench::verify_unfused() {
  const Outputs got = once(kUnfused);
  if (got.plain != right_.plain) fail("unfused", "other bits than the bf16 output alone");
  const std::int64_t wrong = first_wrong_code(got.plain, got.codes, kMlaPrefillScale);
  if (wrong >= 0) fail("unfused", fmt::format("code {} is not that of its bf16 value", wrong));
}

// What the timed calls left behind.
void PointBench::verify_after() const {
  const OperandSet& last = *sets_.back();
  if (last.plain.to_vector<std::byte>() != right_.plain)
    fail("bf16 output", "other bits when timed");
  if (last.codes.to_vector<std::byte>() != right_.codes)
    fail("FP8 output", "other bits when timed");
}

// A good quantisation kernel is the fastest of its kind at this size.
void PointBench::choose_quantizer() {
  std::vector<Quantizer> candidates;
  std::vector<TimedVariant> variants;
  for (const std::int64_t packs : kQuantizerPacks) {
    candidates.emplace_back(runtime_, DType::kBF16, packs);
  }
  for (const Quantizer& candidate : candidates) {
    variants.push_back({[&](std::size_t number) {
                          OperandSet& set = *sets_[number % sets_.size()];
                          candidate.launch({set.plain, set.codes, scale_}, stream_.get());
                        },
                        calls_, true});
  }
  const std::vector<Timing> timings = time_variants(driver_, stream_, variants, kRoundsOfChoice);
  const auto best =
      std::min_element(timings.begin(), timings.end(),
                       [](const Timing& a, const Timing& b) { return a.median_us < b.median_us; });
  quantizer_ = candidates[static_cast<std::size_t>(best - timings.begin())];
}

BenchRow PointBench::row(const MlaPrefillBenchOptions& options, bool has_peers) {
  counters_ = options.counters;
  choose_quantizer();
  verify();
  std::vector<TimedVariant> variants;
  for (std::size_t variant = 0; variant < kVariants; ++variant) {
    const bool is_twice = variant == kBf16NoCounters || variant == kFusedNoCounters;
    if (is_twice && !counters_) continue;
    variants.push_back({[=, this](std::size_t number) { enqueue(variant, number); }, calls_, true});
  }
  std::vector<Timing> timings = time_variants(driver_, stream_, variants, options.rounds);
  verify_after();
  if (!counters_) timings.insert(timings.begin() + kBf16NoCounters, 2, Timing{});
  return row_of(timings, has_peers);
}

MlaPrefillPeer peer_of(const MlaPrefillCall& call) {
  const std::string name = name_of(call);
  for (const MlaPrefillPeer& peer : kMlaPrefillPeers) {
    if (peer.spec == name && call.num_heads == kMlaPrefillPeerHeads) return peer;
  }
  return {};
}

BenchRow PointBench::row_of(const std::vector<Timing>& timings, bool has_peers) const {
  const auto us = [&](Variant variant) { return timings[variant].median_us; };
  const MlaPrefillPeer peer = has_peers ? peer_of(call_) : MlaPrefillPeer{};
  const double floor = std::max(call_.flops() / kDenseFlops * 1e6, us(kCopy));
  BenchRow row;
  row.point = {{"spec", name_of(call_)}, {"heads", std::to_string(call_.num_heads)}};
  row.counts = {{"quantise_packs", static_cast<std::uint64_t>(quantizer_.packs_per_thread())}};
  row.figures = {{"GFLOP", call_.flops() / 1e9},
                 {"bf16_us", us(kBf16)},
                 {"bf16_TFLOP/s", call_.flops() / us(kBf16) / 1e6},
                 {"fused_us", us(kFused)},
                 {"fused_TFLOP/s", call_.flops() / us(kFused) / 1e6},
                 {"unfused_us", us(kUnfused)},
                 {"fused/bf16", us(kFused) / us(kBf16)},
                 {"unfused/fused", us(kUnfused) / us(kFused)},
                 {"quantise_us", us(kQuantise)},
                 {"bf16_no_counters_us", us(kBf16NoCounters)},
                 {"fused_no_counters_us", us(kFusedNoCounters)},
                 {"copy_us", us(kCopy)},
                 {"floor_us", floor},
                 {"floor/fused", floor / us(kFused)},
                 {"fa3_us", peer.us},
                 {"fa3/bf16", peer.us / us(kBf16)},
                 {"fa3_quantised_us", peer.quantised_us},
                 {"fa3_quantised/fused", peer.quantised_us / us(kFused)},
                 {"fused_min_us", timings[kFused].min_us},
                 {"fused_max_us", timings[kFused].max_us}};
  return row;
}

std::vector<MlaPrefillCall> calls_of(const MlaPrefillBenchOptions& options) {
  std::vector<MlaPrefillSpec> specs = options.specs;
  if (specs.empty()) {
    if (options.quick) specs = {{1, 512}, {1, 2048}, {8, 4096}};
    else
      for (const MlaPrefillPeer& peer : kMlaPrefillPeers) {
        specs.push_back(*parse_mla_prefill_spec(peer.spec));
      }
  }
  std::vector<std::int64_t> heads = options.heads;
  if (heads.empty())
    heads = options.quick ? std::vector<std::int64_t>{16} : std::vector<std::int64_t>{16, 128};
  std::vector<MlaPrefillCall> calls;
  for (const std::int64_t h : heads) {
    for (const MlaPrefillSpec& spec : specs) {
      MlaPrefillCall call;
      call.num_sequences = spec.num_sequences;
      call.query_len = call.key_len = spec.length;
      call.num_heads = call.num_kv_heads = h;
      call.fp8 = true;
      calls.push_back(call);
    }
  }
  return calls;
}

}  // namespace

std::string MlaPrefillSpec::name() const {
  const std::string count = num_sequences == 1 ? "" : std::to_string(num_sequences);
  if (length % 1024 == 0) return fmt::format("{}q{}k", count, length / 1024);
  return fmt::format("{}q{}", count, length);
}

std::optional<MlaPrefillSpec> parse_mla_prefill_spec(std::string_view name) {
  constexpr std::int64_t kMaxTokens = 1'000'000;
  // Digits at the front, taken off; 0 if there are none, or too many.
  const auto number = [&name] {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), value);
    if (error != std::errc() || value < 0 || value > kMaxTokens) return std::int64_t{0};
    name.remove_prefix(static_cast<std::size_t>(end - name.data()));
    return value;
  };
  MlaPrefillSpec spec;
  if (!name.starts_with('q')) spec.num_sequences = number();
  if (!name.starts_with('q')) return std::nullopt;
  name.remove_prefix(1);
  spec.length = number();
  if (name == "k") spec.length *= 1024;
  else if (!name.empty()) return std::nullopt;
  if (spec.num_sequences < 1 || spec.length < 1) return std::nullopt;
  if (spec.num_sequences * spec.length > kMaxTokens) return std::nullopt;
  return spec;
}

void bench_mla_prefill(Runtime& runtime, Driver& driver, const MlaPrefillBenchOptions& options,
                       BenchReport& report) {
  // Short, to be typed again.
  const std::uint64_t seed = options.check_seed.value_or(std::random_device{}() % 1'000'000 + 1);
  driver.ensure_context();
  StreamOwner stream(driver);
  const bool has_peers = report.gpu == kMlaPrefillPeerGpu;
  report.benchmark = "mla_prefill, heads of 192/128, causal, bf16 in, with bf16 or e4m3 output";
  report.method = fmt::format(
      "microseconds per call, median of {} CUDA graphs of {} to {} back-to-back calls, variants "
      "interleaved; cold: the L2 flushed (a fill of twice its size) before each graph, and every "
      "call on buffers of its own, or on larger ones than the L2; programmatic dependent launches, "
      "{} work counters; inputs N(0, 1), output scale {}; unfused: bf16 output, then a static "
      "quantisation kernel, of which that many packs of 16 bytes per thread were fastest; TFLOP/s "
      "of the products with keys that are seen; floor: the products at {:.0f} TFLOP/s or the "
      "driver's copy of as many bytes; fa3: FlashAttention-3 in another run, alone and with vLLM's "
      "quantisation kernel; checked against the float64 reference before, with seed {}, and for "
      "the same bits after",
      options.rounds, kMinCallsPerGraph, kMaxCallsPerGraph, options.counters ? "with" : "without",
      kMlaPrefillScale, kDenseFlops / 1e12, seed);
  for (const MlaPrefillCall& call : calls_of(options)) {
    PointBench bench(runtime, driver, stream, call, seed);
    report.rows.push_back(bench.row(options, has_peers));
  }
}

}  // namespace jit::inline v1
