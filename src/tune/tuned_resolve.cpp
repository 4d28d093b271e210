#include <algorithm>
#include <utility>

#include "tune/tuning_table.hpp"

namespace jit::inline v1 {
namespace {

// Every target that some process asks with, in these steps.
std::vector<TuningTarget> targets_of(const Signature& untuned, const BucketSteps& steps,
                                     const TuningTable& table, const TuningTarget& target) {
  std::vector<std::optional<DeviceModel>> devices{target.device};
  if (!target.device) {
    // A device without a record follows the nearest of these; without any nobody is tuned.
    const auto known = table.devices(*untuned.tmpl, untuned.values, steps, target.arch);
    if (!known.empty()) devices.assign(known.begin(), known.end());
  }
  std::vector<TuningTarget> targets;
  for (const auto& device : devices) {
    targets.push_back({target.arch, target.release, device});
    if (target.release) targets.push_back({target.arch, std::nullopt, device});
  }
  return targets;
}

}  // namespace

Signature resolve(const table::Template& tmpl, std::span<const Constant> constants,
                  const BucketSteps& steps, const TuningTable& table, const TuningTarget& target) {
  Signature untuned = resolve(tmpl, constants, steps);
  const auto choice = table.choose(tmpl, untuned.values, steps, target);
  return choice ? resolve(tmpl, constants, steps, choice->set) : std::move(untuned);
}

std::vector<Signature> resolve_all_buckets(const table::Template& tmpl,
                                           std::span<const Constant> constants,
                                           const TuningTable& table, const TuningTarget& target) {
  std::vector<Signature> signatures;
  for (const BucketSteps& steps : all_steps(tmpl)) {
    const Signature untuned = resolve(tmpl, constants, steps);
    for (const TuningTarget& one : targets_of(untuned, steps, table, target)) {
      Signature signature = resolve(tmpl, constants, steps, table, one);
      if (std::find(signatures.begin(), signatures.end(), signature) == signatures.end()) {
        signatures.push_back(std::move(signature));
      }
    }
  }
  return signatures;
}

}  // namespace jit::inline v1
