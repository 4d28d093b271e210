#include "tune/static_stage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <tuple>

namespace jit::inline v1 {
namespace {

std::optional<Occupancy> occupancy_of(const StaticFacts& variant, ComputeCapability capability) {
  if (variant.threads == 0) return std::nullopt;
  return v1::occupancy_of(capability, variant.threads, variant.facts.registers,
                          variant.facts.smem_bytes + variant.dynamic_smem_bytes);
}

struct Judged {
  const StaticFacts* facts = nullptr;
  std::optional<Occupancy> occupancy;

  bool compiled() const { return facts->refused.empty(); }
  bool fits() const { return compiled() && (!occupancy || occupancy->blocks != 0); }
  bool flawed() const {
    return facts->facts.spill_bytes() != 0 || facts->facts.serialized_wgmma != 0;
  }
};

std::string plural(std::size_t count, const char* one, const char* many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

// What it has that others are free of; only where there are such others.
std::string flaws(const Judged& judged, std::size_t fitting, std::size_t sound) {
  const ArtifactFacts& facts = judged.facts->facts;
  if (!judged.fits()) {
    if (fitting == 0) return {};
    return fmt::format("no block of it fits on a multiprocessor, for its {}",
                       judged.occupancy->limiter);
  }
  if (!judged.flawed() || sound == 0) return {};
  std::string text;
  if (facts.spill_bytes() != 0)
    text = fmt::format("spills {} bytes per thread", facts.spill_bytes());
  if (facts.serialized_wgmma != 0) {
    text += fmt::format("{}serialises wgmma ({})", text.empty() ? "" : " and ",
                        plural(facts.serialized_wgmma, "warning C75xx", "warnings C75xx"));
  }
  return fmt::format("{}, where {} not", text, plural(sound, "variant does", "variants do"));
}

TuningVariant verdict_of(const Judged& judged, std::size_t fitting, std::size_t sound) {
  TuningVariant variant;
  if (!judged.compiled()) {
    variant.verdict = TuningVerdict::kRefused;
    variant.reason = judged.facts->refused;
    return variant;
  }
  variant.registers = judged.facts->facts.registers;
  variant.smem_bytes = judged.facts->facts.smem_bytes;
  variant.spill_bytes = judged.facts->facts.spill_bytes();
  variant.serialized_wgmma = judged.facts->facts.serialized_wgmma;
  if (judged.occupancy) variant.occupancy = judged.occupancy->share;
  variant.reason = flaws(judged, fitting, sound);
  if (!variant.reason.empty()) variant.verdict = TuningVerdict::kRejected;
  return variant;
}

}  // namespace

std::vector<TuningVariant> judge(std::span<const StaticFacts> variants,
                                 ComputeCapability capability) {
  std::vector<Judged> judged;
  judged.reserve(variants.size());
  for (const StaticFacts& facts : variants)
    judged.push_back({&facts, occupancy_of(facts, capability)});
  const auto count = [&](const auto& holds) {
    return static_cast<std::size_t>(std::count_if(judged.begin(), judged.end(), holds));
  };
  const std::size_t fitting = count([](const Judged& one) { return one.fits(); });
  const std::size_t sound = count([](const Judged& one) { return one.fits() && !one.flawed(); });
  std::vector<TuningVariant> verdicts;
  verdicts.reserve(variants.size());
  for (const Judged& one : judged) verdicts.push_back(verdict_of(one, fitting, sound));
  return verdicts;
}

std::vector<std::size_t> ranking(std::span<const TuningVariant> variants) {
  std::vector<std::size_t> ranked;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    if (variants[i].verdict == TuningVerdict::kNotReached) ranked.push_back(i);
  }
  const auto rank = [&](std::size_t i) {
    const TuningVariant& variant = variants[i];
    return std::tuple(variant.spill_bytes, variant.serialized_wgmma, -variant.occupancy,
                      variant.registers, i);
  };
  std::sort(ranked.begin(), ranked.end(),
            [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
  return ranked;
}

}  // namespace jit::inline v1
