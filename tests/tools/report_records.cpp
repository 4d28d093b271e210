#include "tools/report_records.hpp"

#include <cmath>
#include <utility>

namespace jit::testing {
namespace {

RecordedConstant constant(std::string name, std::int64_t value) { return {std::move(name), value}; }
RecordedConstant flag(std::string name, bool value) { return {std::move(name), value}; }
RecordedConstant word(std::string name, std::string value) {
  return {std::move(name), std::move(value)};
}

// One median and its interval, a little different for each variant and size.
TuningTime time_of(double us, std::uint32_t samples) {
  const double spread = 0.02 / std::sqrt(samples);
  return {us, us * (1 - spread), us * (1 + 1.4 * spread), samples};
}

TuningEvidence evidence_of(const std::string& at) {
  TuningEvidence evidence;
  evidence.at = at;
  evidence.driver = "580.159.04";
  evidence.noise = 0.006;
  evidence.clock_mhz_low = 1935;
  evidence.clock_mhz_high = 1980;
  evidence.seconds = 6.42;
  evidence.device_ms = 412;
  evidence.sweep_ms = 1980;
  return evidence;
}

TuningVariant merge_variant(std::int64_t threads, bool keep) {
  TuningVariant variant;
  variant.set = {flag("KEEP_IN_L1", keep), constant("THREADS", threads)};
  variant.registers = threads == 512 ? 32 : keep ? 40 : 38;
  variant.occupancy = threads == 512 ? 1.0 : 0.75;
  return variant;
}

void spoil(TuningVariant& variant, TuningVerdict verdict, std::string reason) {
  variant.verdict = verdict;
  variant.reason = std::move(reason);
  variant.times.clear();
}

}  // namespace

TuningRecord merge_record(const std::string& step) {
  TuningRecord record;
  record.name = "merge_attn_states";
  record.shape = {constant("FP8_GROUP_SIZE", 0),
                  flag("HAS_OUTPUT_LSE", false),
                  constant("HEAD_SIZE", 128),
                  word("INPUT_TYPE", "bf16"),
                  flag("PROGRAMMATIC_DEPENDENT_LAUNCH", false),
                  flag("USE_FP8_OUTPUT", true),
                  flag("USE_UE8M0_SCALES", false)};
  record.buckets = {{"phase", step}};
  record.arch = "sm_90a";
  record.toolchain = "13.0";
  record.bundle = std::string(32, 'a') + std::string(32, '7');
  record.device = {"NVIDIA H200", 132, 140};
  record.evidence = evidence_of("2026-11-21T18:00:00Z");
  const bool decode = step == "decode";
  const std::vector<std::int64_t> tokens =
      decode ? std::vector<std::int64_t>{1, 16, 64} : std::vector<std::int64_t>{256, 1024, 4096};
  const std::vector<double> base =
      decode ? std::vector<double>{1.69, 2.28, 3.31} : std::vector<double>{6.97, 21.2, 77.9};
  for (const std::int64_t count : tokens) {
    record.evidence.sizes.push_back({{"num_heads", 128}, {"num_tokens", count}});
  }
  for (const bool keep : {false, true}) {
    for (const std::int64_t threads : {64, 128, 256, 512}) {
      TuningVariant variant = merge_variant(threads, keep);
      variant.verdict = TuningVerdict::kMeasured;
      const double away = std::abs(std::log2(static_cast<double>(threads) / (decode ? 128 : 512)));
      const double slower = 1 + 0.04 * away + (keep == decode ? 0.03 : 0);
      for (const double us : base)
        variant.times.push_back(time_of(us * slower, away > 1 ? 10 : 40));
      if (away > 1) variant.reason = "slower than the best with 95 % confidence after 10 samples";
      record.evidence.variants.push_back(variant);
    }
  }
  auto& variants = record.evidence.variants;
  spoil(variants[0], TuningVerdict::kRefused,
        "static assertion failed: \"THREADS must hold a whole row\"");
  variants[0].registers = 0;
  variants[0].occupancy = 0;
  spoil(variants[4], TuningVerdict::kWrong,
        "output[3][17][5] is 0.125, expected 0.1328 within 0.0039");
  spoil(variants[decode ? 7 : 5], TuningVerdict::kRejected, "spills 48 bytes, others do not");
  variants[decode ? 7 : 5].spill_bytes = 48;
  spoil(variants[decode ? 3 : 1], TuningVerdict::kNotReached, "");
  record.evidence.winner = decode ? 1 : 7;
  record.evidence.untuned = decode ? 1 : 6;
  record.evidence.complete = false;
  record.set = variants[record.evidence.winner].set;
  return record;
}

TuningRecord large_record() {
  TuningRecord record = merge_record("prefill");
  record.name = "fp8_paged_logits";
  record.shape = {constant("HEAD_SIZE", 128), constant("kNumHeads", 64)};
  record.buckets.clear();
  record.evidence = evidence_of("2026-11-22T08:30:00Z");
  record.evidence.sizes = {{{"num_tokens", 1024}}, {{"num_tokens", 8192}}};
  for (const std::int64_t m : {64, 128, 256}) {
    for (const std::int64_t n : {16, 32, 64, 96, 128}) {
      for (const std::int64_t stages : {2, 3}) {
        for (const bool split : {false, true}) {
          TuningVariant variant;
          variant.set = {constant("kBlockM", m), constant("kBlockN", n),
                         constant("kStages", stages), flag("kWarpSplit", split)};
          variant.verdict = TuningVerdict::kMeasured;
          const double far = std::abs(std::log2(static_cast<double>(m) / 128)) * 0.09 +
                             std::abs(std::log2(static_cast<double>(n) / 64)) * 0.13 +
                             (stages == 2 ? 0.04 : 0) + (split ? 0.0 : 0.015);
          variant.registers = static_cast<std::uint32_t>(32 + m * n / 160);
          variant.smem_bytes = static_cast<std::uint32_t>(m * 64 * stages);
          variant.occupancy = variant.registers > 128 ? 0.25 : variant.registers > 64 ? 0.375 : 0.5;
          variant.times = {time_of(18.4 * (1 + far), 20), time_of(141.0 * (1 + far * 0.8), 20)};
          if (m == 256 && n == 128) {
            variant.spill_bytes = static_cast<std::uint32_t>(64 * stages);
            spoil(variant, TuningVerdict::kRejected, "spills, others do not");
          }
          record.evidence.variants.push_back(variant);
        }
      }
    }
  }
  for (std::size_t i = 0; i < record.evidence.variants.size(); ++i) {
    const TuningVariant& variant = record.evidence.variants[i];
    if (variant.set == std::vector{constant("kBlockM", 128), constant("kBlockN", 64),
                                   constant("kStages", 3), flag("kWarpSplit", true)}) {
      record.evidence.winner = i;
    }
    if (variant.set == std::vector{constant("kBlockM", 64), constant("kBlockN", 64),
                                   constant("kStages", 2), flag("kWarpSplit", false)}) {
      record.evidence.untuned = i;
    }
  }
  record.evidence.throttled = "power cap";
  record.set = record.evidence.variants[record.evidence.winner].set;
  return record;
}

TuningRecord hostile_record() {
  const std::string text =
      "</style><script>alert(1)</script>&\"'<img src=http://x/ onerror=y>\x01\xff";
  TuningRecord record = merge_record("prefill");
  record.name = text;
  record.arch = record.toolchain = record.bundle = text;
  record.device.name = text;
  record.shape = {word(text, text)};
  record.buckets = {{text, text}};
  record.evidence.at = record.evidence.driver = record.evidence.throttled = text;
  for (auto& size : record.evidence.sizes) size = {{text, 1}};
  for (TuningVariant& variant : record.evidence.variants) {
    variant.reason = text;
    for (RecordedConstant& tunable : variant.set) tunable.name += text;
  }
  record.set = record.evidence.variants[record.evidence.winner].set;
  return record;
}

std::vector<TuningRecord> all_records() {
  TuningRecord hint = merge_record("prefill");
  hint.device = {"NVIDIA H100 80GB HBM3", 132, 80};
  hint.evidence = {};
  return {merge_record("prefill"), merge_record("decode"), hint, large_record()};
}

}  // namespace jit::testing
