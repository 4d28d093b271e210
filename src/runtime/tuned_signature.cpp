// What tuning records make of a request.
#include <algorithm>

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
  const TuningSubject subject{tmpl, request.plain.values, request.steps, request.model};
  const auto choice = tuning_.choose(subject, [&] { return target_of(tmpl, request.model); });
  if (!choice) return std::move(request.plain);
  return resolve(tmpl, request.constants, request.steps, choice->set);
}

std::vector<Signature> Runtime::Impl::signatures(const table::Template& tmpl,
                                                 std::span<const Constant> constants,
                                                 const SignaturesFor& wanted) {
  std::vector<Signature> found;
  const auto add = [&](Signature signature) {
    if (std::find(found.begin(), found.end(), signature) == found.end()) {
      found.push_back(std::move(signature));
    }
  };
  std::vector<BucketSteps> steps = all_steps(tmpl);
  if (wanted.steps) steps = {*wanted.steps};
  const bool records = tuning_.chooses(tmpl, constants) && tuning_.table(tmpl).size() != 0;
  TuningTarget target{wanted.arch, compiler_release(), wanted.device};
  for (const BucketSteps& step : steps) {
    if (!records) {
      add(resolve(tmpl, constants, step));
      continue;
    }
    const TuningTable& table = tuning_.table(tmpl);
    std::vector<DeviceModel> devices = table.devices(tmpl, wanted.arch);
    if (wanted.device) devices = {*wanted.device};
    if (devices.empty()) add(resolve(tmpl, constants, step));
    for (const DeviceModel& device : devices) {
      target.device = device;
      add(resolve(tmpl, constants, step, table, target));
    }
  }
  return found;
}

}  // namespace jit::inline v1
