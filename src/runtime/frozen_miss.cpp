#include "runtime/frozen_miss.hpp"

#include <fmt/format.h>

#include "compile/nvrtc_version.hpp"
#include "runtime/add_command.hpp"
#include "runtime/nearest_entries.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kTiersTold = 4;
constexpr std::size_t kDifferencesTold = 4;

std::string tiers_text(ArtifactSource& source, const Unit& unit) {
  const std::vector<TierAnswer> answers = source.ask_all(unit);
  if (answers.empty()) return "memory only";
  std::string text;
  for (std::size_t i = 0; i < std::min(kTiersTold, answers.size()); ++i) {
    text += (i == 0 ? "" : "; ") + text_of(answers[i]);
  }
  if (answers.size() > kTiersTold) {
    text += fmt::format("; and {} more packs", answers.size() - kTiersTold);
  }
  return text;
}

std::string nearest_text(const NearestEntries& nearest) {
  const char* bounds = nearest.complete ? "" : " among those looked at";
  if (nearest.entries.empty()) return fmt::format("none of this template{}", bounds);
  const NearEntry& near = nearest.entries.front();
  const std::string key = near.entry.key.hex().substr(0, 12);
  if (near.differences.empty()) return fmt::format("{}, the one asked for", key);
  return fmt::format("{}{}, which differs: {}", key, bounds,
                     text_of(near.differences, kDifferencesTold));
}

}  // namespace

std::string text_of(const TierAnswer& answer) {
  std::string text =
      fmt::format("{} {}: {}", name_of(answer.tier), answer.place.native(), answer.miss_name);
  if (answer.miss.reason == MissReason::kAbsent || answer.miss.detail.empty()) return text;
  return text + fmt::format(" ({})", answer.miss.detail);
}

Entry asked_of(ArtifactSource& source, const Unit& unit) {
  Artifact artifact;
  artifact.arch = unit.arch;
  artifact.symbol = unit.signature->symbol();
  if (const auto location = source.toolchain(std::nullopt)) {
    artifact.toolchain = location->id;
    artifact.compiler_version = version_by_name(*location);
  }
  return entry_of(unit, artifact);
}

std::string frozen_miss_text(ArtifactSource& source, const Unit& unit) {
  const NearestEntries nearest = find_nearest(source, asked_of(source, unit), kErrorBounds);
  return fmt::format(
      "get {}: not in the cache ({}) and CUBINET_MODE=frozen forbids compiling; nearest entry: {}; "
      "add it with: {}",
      unit.name(), tiers_text(source, unit), nearest_text(nearest),
      add_command(unit, source.options()));
}

}  // namespace jit::inline v1
