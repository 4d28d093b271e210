// What tuning records make of a request.
#include <fmt/format.h>

#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {

std::optional<CompilerRelease> Runtime::Impl::compiler_release() {
  const auto location = source_.toolchain(devices_.driver_release());
  if (!location) return std::nullopt;
  return location->id.release;
}

TuningTarget Runtime::Impl::target_of(const table::Template& tmpl, std::size_t model) {
  const ComputeCapability gpu = devices_.capability(devices_.capability_index(model));
  const auto release = compiler_release();
  auto arch = best_arch(tmpl.target, gpu, release);
  if (!arch) arch = best_arch(tmpl.target, gpu, std::nullopt);
  // A GPU that nothing compiles for is refused later, in words of its own.
  constexpr Arch kNone{};
  return {arch.value_or(kNone), release, devices_.model(model)};
}

Signature Runtime::Impl::with_records(TunedRequest request) {
  const table::Template& tmpl = *request.plain.tmpl;
  if (!tuning_.chooses(tmpl, request.constants)) return std::move(request.plain);
  const TuningSubject subject{tmpl, request.plain.values, request.constants, request.steps,
                              request.model};
  if (options_.tuning == Tuning::kOnMiss && request.tune_on) {
    tune_on_miss(subject, *request.tune_on);
  }
  const auto choice = tuning_.choose(subject, [&] { return target_of(tmpl, request.model); });
  if (!choice) return std::move(request.plain);
  Signature chosen = resolve(tmpl, request.constants, request.steps, choice->set);
  const std::size_t capability = devices_.capability_index(request.model);
  if (chosen == request.plain || !memory_.is_refused(chosen, request.debug, capability)) {
    return chosen;
  }
  logger_.warn_once(
      "refused " + chosen.text(),
      fmt::format("serve {}: the tuning record {} chose what does not compile; serving {} instead; "
                  "tune again",
                  chosen.text(), choice->place, request.plain.text()));
  return std::move(request.plain);
}

std::vector<Signature> Runtime::Impl::signatures(const table::Template& tmpl,
                                                 std::span<const Constant> constants,
                                                 const SignaturesFor& wanted) {
  std::vector<BucketSteps> steps = all_steps(tmpl);
  if (wanted.steps) steps = {*wanted.steps};
  const TuningTable nothing;
  const bool records = tuning_.chooses(tmpl, constants);
  return resolve_in_steps(tmpl, constants, steps, records ? tuning_.table(tmpl) : nothing,
                          {wanted.arch, compiler_release(), wanted.device});
}

}  // namespace jit::inline v1
