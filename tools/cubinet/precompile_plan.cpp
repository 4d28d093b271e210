#include "cubinet/precompile_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "cubinet/text.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

class Planner {
 public:
  Planner(Context& context, const PlanRequest& request) : context_(context), request_(request) {}

  std::vector<KernelJob> plan() {
    const auto& names = request_.words.names;
    if (names.empty()) {
      if (!request_.all_presets) {
        throw UsageError("precompile: name a template, or say --all-presets for all of them");
      }
      for (const table::Template* tmpl : context_.impl().templates().all()) add(*tmpl, true);
    }
    for (const std::string& name : names) add(context_.impl().templates().find(name), false);
    return std::move(jobs_);
  }

 private:
  void add(const table::Template& tmpl, bool may_pass_over) {
    std::vector<Arch> archs;
    for (const Arch arch : archs_for(context_, tmpl, request_.archs)) {
      if (!may_pass_over || supports(tmpl, arch)) archs.push_back(arch);
    }
    for (const Arch arch : archs) note_other_choice(tmpl, arch);
    if (!request_.all_presets && request_.presets.empty()) return add(tmpl, nullptr, archs);
    for (const std::string& name : request_.presets) add(tmpl, &preset_of(tmpl, name), archs);
    if (!request_.all_presets) return;
    for (const table::Preset& preset : tmpl.presets) add(tmpl, &preset, archs);
  }

  void add(const table::Template& tmpl, const table::Preset* preset,
           const std::vector<Arch>& archs) {
    const auto constants = constants_of(tmpl, preset, request_.words);
    for (const Signature& signature : resolve_all_buckets(tmpl, constants)) {
      for (const Arch arch : archs) {
        if (!known_.insert(signature.text(arch)).second) continue;
        jobs_.push_back({signature, arch, request_.debug});
      }
    }
  }

  static bool supports(const table::Template& tmpl, Arch arch) {
    try {
      check_capability(tmpl, arch);
      return true;
    } catch (const Error& error) {
      print_note(fmt::format("passing over {} for {}: {}", tmpl.name, arch.text(), error.what()));
      return false;
    }
  }

  // An entry that no get_kernel will ask for is worth a word.
  static void note_other_choice(const table::Template& tmpl, Arch arch) {
    if (tmpl.target != Target::kBase || arch.suffix == 0) return;
    const Arch choice{arch.major, arch.minor, 0};
    print_note(
        fmt::format("{} has target base: on compute capability {}.{} get_kernel asks for {}, "
                    "not {}",
                    tmpl.name, arch.major, arch.minor, choice.text(), arch.text()));
  }

  Context& context_;
  const PlanRequest& request_;
  std::vector<KernelJob> jobs_;
  std::set<std::string> known_;
};

}  // namespace

std::vector<KernelJob> make_plan(Context& context, const PlanRequest& request) {
  return Planner(context, request).plan();
}

std::vector<Arch> parse_archs(const std::vector<std::string>& words) {
  std::vector<Arch> archs;
  for (const std::string& word : split_commas(words)) {
    const auto arch = Arch::parse(word);
    if (!arch) {
      throw UsageError(fmt::format("--arch {}: expected one such as sm_90a", word));
    }
    if (!is_known(*arch)) {
      throw UsageError(
          fmt::format("--arch {}: no such architecture; known are {}", word, known_archs_text()));
    }
    if (std::find(archs.begin(), archs.end(), *arch) == archs.end()) archs.push_back(*arch);
  }
  return archs;
}

std::vector<Arch> archs_for(Context& context, const table::Template& tmpl,
                            const std::vector<Arch>& given) {
  if (!given.empty()) return given;
  Runtime::Impl& impl = context.impl();
  std::set<ComputeCapability> capabilities;
  try {
    for (const DeviceInfo& device : impl.devices().driver().devices()) {
      capabilities.insert(device.capability);
    }
  } catch (const Error& error) {
    throw UsageError(
        fmt::format("choose an architecture: no GPU at hand ({}); say which with "
                    "--arch, for example --arch sm_90a",
                    error.what()));
  }
  const auto location = impl.source().toolchain(impl.devices().driver_release());
  std::optional<CompilerRelease> release;
  if (location) release = location->id.release;
  std::vector<Arch> archs;
  for (const ComputeCapability capability : capabilities) {
    const Arch arch = choose_arch(tmpl.target, capability, release);
    if (std::find(archs.begin(), archs.end(), arch) == archs.end()) archs.push_back(arch);
  }
  return archs;
}

}  // namespace jit::inline v1
