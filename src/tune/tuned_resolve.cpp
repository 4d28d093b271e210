#include <algorithm>
#include <utility>

#include "tune/tuning_table.hpp"

namespace jit::inline v1 {
Signature resolve(const table::Template& tmpl, std::span<const Constant> constants,
                  const BucketSteps& steps, const TuningTable& table, const TuningTarget& target) {
  Signature untuned = resolve(tmpl, constants, steps);
  const auto choice = table.choose(tmpl, untuned.values, constants, steps, target);
  return choice ? resolve(tmpl, constants, steps, choice->set) : std::move(untuned);
}

std::vector<Signature> resolve_all_buckets(const table::Template& tmpl,
                                           std::span<const Constant> constants,
                                           const TuningTable& table, const TuningTarget& target) {
  return resolve_in_steps(tmpl, constants, all_steps(tmpl), table, target);
}

std::vector<Signature> resolve_in_steps(const table::Template& tmpl,
                                        std::span<const Constant> constants,
                                        std::span<const BucketSteps> all, const TuningTable& table,
                                        const TuningTarget& target) {
  std::vector<Signature> signatures;
  const auto add = [&](Signature signature) {
    if (std::find(signatures.begin(), signatures.end(), signature) == signatures.end()) {
      signatures.push_back(std::move(signature));
    }
  };
  for (const BucketSteps& steps : all) {
    Signature untuned = resolve(tmpl, constants, steps);
    // The same device may be asked for with this release of the compiler, another one or none.
    std::vector<TunedChoice> choices;
    if (!target.device) {
      choices = table.choices(tmpl, untuned.values, constants, steps, target.arch);
    } else {
      for (const auto& release : {target.release, std::optional<CompilerRelease>()}) {
        const auto choice = table.choose(tmpl, untuned.values, constants, steps,
                                         {target.arch, release, target.device});
        if (choice) choices.push_back(*choice);
      }
    }
    for (const TunedChoice& choice : choices) add(resolve(tmpl, constants, steps, choice.set));
    if (choices.empty()) add(std::move(untuned));
  }
  return signatures;
}

}  // namespace jit::inline v1
