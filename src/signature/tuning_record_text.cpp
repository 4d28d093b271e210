#include "signature/tuning_record_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "base/hex.hpp"
#include "signature/recorded_json.hpp"
#include "signature/recorded_request.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::ordered_json;

// Digits after the point that mean something: a time is told to a tenth of a nanosecond.
constexpr double kTimeDigits = 1e4;
constexpr double kShareDigits = 1e6;

// What is written is what is read back, also for a number that a clock or a division spoilt.
double rounded(double value, double digits) {
  const double result = std::round(value * digits) / digits;
  return std::isfinite(result) ? result : 0;
}

template <class T>
std::vector<T> sorted(std::vector<T> values) {
  std::sort(values.begin(), values.end());
  return values;
}

ordered_json json_of(const TuningTime& time) {
  return {rounded(time.median_us, kTimeDigits), rounded(time.low_us, kTimeDigits),
          rounded(time.high_us, kTimeDigits), time.samples};
}

ordered_json json_of(const TuningVariant& variant) {
  ordered_json object = ordered_json::object();
  object["set"] = json_of(sorted(variant.set));
  object["verdict"] = name_of(variant.verdict);
  if (!variant.reason.empty()) object["reason"] = variant.reason;
  if (!variant.times.empty()) {
    ordered_json times = ordered_json::array();
    for (const TuningTime& time : variant.times) times.push_back(json_of(time));
    object["us"] = std::move(times);
  }
  const auto add = [&](const char* name, std::uint32_t value) {
    if (value != 0) object[name] = value;
  };
  add("registers", variant.registers);
  add("smem_bytes", variant.smem_bytes);
  add("spill_bytes", variant.spill_bytes);
  add("serialized_wgmma", variant.serialized_wgmma);
  const double occupancy = rounded(variant.occupancy, kShareDigits);
  if (occupancy != 0) object["occupancy"] = occupancy;
  return object;
}

ordered_json json_of(const std::vector<RecordedSize>& sizes) {
  ordered_json object = ordered_json::object();
  for (const RecordedSize& size : sizes) object[size.name] = size.value;
  return object;
}

ordered_json json_of(const TuningEvidence& evidence) {
  ordered_json object = ordered_json::object();
  object["driver"] = evidence.driver;
  object["winner"] = evidence.winner;
  if (evidence.untuned != TuningEvidence::npos) object["untuned"] = evidence.untuned;
  object["noise"] = rounded(evidence.noise, kShareDigits);
  object["clock_mhz"] = {evidence.clock_mhz_low, evidence.clock_mhz_high};
  object["throttled"] = evidence.throttled;
  object["seconds"] = rounded(evidence.seconds, kTimeDigits);
  object["device_ms"] = rounded(evidence.device_ms, kTimeDigits);
  object["sweep_ms"] = rounded(evidence.sweep_ms, kTimeDigits);
  object["sizes"] = ordered_json::array();
  for (const auto& sizes : evidence.sizes) object["sizes"].push_back(json_of(sizes));
  object["variants"] = ordered_json::array();
  for (const auto& variant : evidence.variants) object["variants"].push_back(json_of(variant));
  return object;
}

constexpr std::array kVerdicts{TuningVerdict::kMeasured, TuningVerdict::kWrong,
                               TuningVerdict::kRefused, TuningVerdict::kRejected,
                               TuningVerdict::kNotReached};

}  // namespace

std::string_view name_of(TuningVerdict verdict) noexcept {
  switch (verdict) {
    case TuningVerdict::kMeasured: return "measured";
    case TuningVerdict::kWrong: return "wrong";
    case TuningVerdict::kRefused: return "refused";
    case TuningVerdict::kRejected: return "rejected";
    case TuningVerdict::kNotReached: return "not_reached";
  }
  return "?";
}

std::optional<TuningVerdict> parse_verdict(std::string_view name) noexcept {
  for (const TuningVerdict verdict : kVerdicts) {
    if (name_of(verdict) == name) return verdict;
  }
  return std::nullopt;
}

std::optional<CompilerRelease> parse_release(std::string_view text) noexcept {
  CompilerRelease release;
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, release.major);
  if (major.ec != std::errc{} || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, release.minor);
  if (minor.ec != std::errc{} || minor.ptr != end) return std::nullopt;
  return release;
}

std::string TuningRecord::text() const {
  ordered_json line = ordered_json::object();
  line["template"] = name;
  line["shape"] = json_of(sorted(shape));
  line["buckets"] = json_of(sorted(buckets));
  line["arch"] = arch;
  line["toolchain"] = toolchain;
  line["bundle"] = bundle;
  line["device"] = {{"name", device.name},
                    {"multiprocessors", device.multiprocessors},
                    {"memory_gib", device.memory_gib}};
  line["set"] = json_of(sorted(set));
  if (!evidence.at.empty()) line["at"] = evidence.at;
  if (!evidence.complete) line["complete"] = false;
  // Last, so that whoever wants the choice alone can stop before it.
  if (!evidence.variants.empty()) line["evidence"] = json_of(evidence);
  return line_of(line);
}

TuningRecord without_evidence(const TuningRecord& record) {
  TuningRecord bare{record.name,   record.shape,  record.buckets, record.arch,     record.toolchain,
                    record.bundle, record.device, record.set,     TuningEvidence{}};
  bare.evidence.at = record.evidence.at;
  bare.evidence.complete = record.evidence.complete;
  return bare;
}

TuningRecord make_tuning_record(const table::Template& tmpl, const table::TuningRecord& shipped) {
  TuningRecord record;
  record.name = tmpl.name;
  for (const Constant& constant : shipped.shape) {
    record.shape.push_back(make_recorded_constant(constant.name, constant.value));
  }
  for (const Constant& step : shipped.steps) {
    record.buckets.push_back({std::string(step.name), std::string(step.value.as_text())});
  }
  record.arch = shipped.arch;
  record.toolchain = shipped.toolchain;
  record.bundle = to_hex(shipped.bundle_sha256);
  record.device = {std::string(shipped.device), shipped.multiprocessors, shipped.memory_gib};
  for (const Constant& constant : shipped.set) {
    record.set.push_back(make_recorded_constant(constant.name, constant.value));
  }
  std::sort(record.shape.begin(), record.shape.end());
  std::sort(record.buckets.begin(), record.buckets.end());
  std::sort(record.set.begin(), record.set.end());
  return record;
}

}  // namespace jit::inline v1
