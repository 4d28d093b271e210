#include "signature/tuning_evidence_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "signature/recorded_json.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {
namespace {

using nlohmann::json;

[[noreturn]] void refuse(std::string_view name, std::string_view reason) {
  throw LineSkip{fmt::format("{} is {}", name, reason)};
}

// Texts that a person typed, a compiler printed or a driver said: shown on one line.
std::string text_or_empty(const json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end()) return {};
  std::string text = recorded_text(*member, name);
  const auto is_control = [](char c) { return (c >= '\0' && c < ' ') || c == '\x7f'; };
  std::replace_if(text.begin(), text.end(), is_control, ' ');
  return text;
}

template <class T>
T count(const json& value, std::string_view name) {
  const bool fits =
      value.is_number_unsigned() &&
      value.get<std::uint64_t>() <= static_cast<std::uint64_t>(std::numeric_limits<T>::max());
  if (!fits) refuse(name, "no count");
  return value.get<T>();
}

template <class T>
T count_or(const json& object, const char* name, T missing) {
  const auto member = object.find(name);
  return member == object.end() ? missing : count<T>(*member, name);
}

double number(const json& value, std::string_view name) {
  // JSON has no infinity, but a reader of "1e999" may.
  const bool fits = value.is_number() && value.get<double>() >= 0 &&
                    value.get<double>() <= std::numeric_limits<float>::max();
  if (!fits) refuse(name, "no number from 0 on");
  return value.get<double>();
}

double number_or_0(const json& object, const char* name) {
  const auto member = object.find(name);
  return member == object.end() ? 0 : number(*member, name);
}

// Made at load: a child of fork() would wait for ever for a thread that made it at its first use.
const json kNone = json::array();

const json& array_of(const json& object, const char* name) {
  const auto member = object.find(name);
  if (member == object.end()) return kNone;
  if (!member->is_array()) refuse(name, "no list");
  return *member;
}

TuningTime time_of(const json& from) {
  if (!from.is_array() || from.size() != 4) {
    refuse("a time", "no [median, low, high, samples]");
  }
  return {number(from[0], "a time"), number(from[1], "a time"), number(from[2], "a time"),
          count<std::uint32_t>(from[3], "samples")};
}

std::vector<RecordedConstant> set_of(const json& variant) {
  std::vector<RecordedConstant> set;
  const auto member = variant.find("set");
  if (member == variant.end() || !member->is_object()) refuse("set of a variant", "no object");
  for (const auto& [name, value] : member->items()) set.push_back(recorded_constant(name, value));
  return set;
}

TuningVariant variant_of(const json& from) {
  if (!from.is_object()) refuse("a variant", "no object");
  TuningVariant variant;
  variant.set = set_of(from);
  const auto verdict = parse_verdict(text_or_empty(from, "verdict"));
  if (!verdict) refuse("verdict", "none that is known");
  variant.verdict = *verdict;
  variant.reason = text_or_empty(from, "reason");
  for (const auto& time : array_of(from, "us")) variant.times.push_back(time_of(time));
  variant.registers = count_or<std::uint32_t>(from, "registers", 0);
  variant.smem_bytes = count_or<std::uint32_t>(from, "smem_bytes", 0);
  variant.spill_bytes = count_or<std::uint32_t>(from, "spill_bytes", 0);
  variant.serialized_wgmma = count_or<std::uint32_t>(from, "serialized_wgmma", 0);
  variant.occupancy = number_or_0(from, "occupancy");
  return variant;
}

std::vector<RecordedSize> sizes_of(const json& from) {
  if (!from.is_object()) refuse("sizes", "no list of objects");
  std::vector<RecordedSize> sizes;
  for (const auto& [name, value] : from.items()) {
    sizes.push_back({name, count<std::int64_t>(value, name)});
  }
  return sizes;
}

void read_clocks(TuningEvidence& evidence, const json& from) {
  const auto& clocks = array_of(from, "clock_mhz");
  if (clocks.empty()) return;
  if (clocks.size() != 2) refuse("clock_mhz", "no [low, high]");
  evidence.clock_mhz_low = count<std::uint32_t>(clocks[0], "clock_mhz");
  evidence.clock_mhz_high = count<std::uint32_t>(clocks[1], "clock_mhz");
}

// Who draws the evidence indexes with what stands in it.
void check(const TuningEvidence& evidence, std::span<const RecordedConstant> set) {
  const std::vector<TuningVariant>& variants = evidence.variants;
  if (evidence.winner >= variants.size()) refuse("winner", "no variant");
  if (!std::equal(variants[evidence.winner].set.begin(), variants[evidence.winner].set.end(),
                  set.begin(), set.end())) {
    refuse("winner", "another variant than set");
  }
  const bool no_untuned =
      evidence.untuned != TuningEvidence::npos && evidence.untuned >= variants.size();
  if (no_untuned) refuse("untuned", "no variant");
  for (const TuningVariant& variant : variants) {
    if (variant.times.size() > evidence.sizes.size()) refuse("us", "longer than sizes");
  }
}

}  // namespace

TuningEvidence evidence_of(const json& from, std::span<const RecordedConstant> set) {
  if (!from.is_object()) refuse("evidence", "no object");
  TuningEvidence evidence;
  evidence.driver = text_or_empty(from, "driver");
  evidence.winner = count_or<std::size_t>(from, "winner", 0);
  evidence.untuned = count_or<std::size_t>(from, "untuned", TuningEvidence::npos);
  evidence.noise = number_or_0(from, "noise");
  read_clocks(evidence, from);
  evidence.throttled = text_or_empty(from, "throttled");
  evidence.seconds = number_or_0(from, "seconds");
  evidence.device_ms = number_or_0(from, "device_ms");
  evidence.sweep_ms = number_or_0(from, "sweep_ms");
  for (const auto& sizes : array_of(from, "sizes")) evidence.sizes.push_back(sizes_of(sizes));
  for (const auto& variant : array_of(from, "variants")) {
    evidence.variants.push_back(variant_of(variant));
  }
  check(evidence, set);
  return evidence;
}

}  // namespace jit::inline v1
