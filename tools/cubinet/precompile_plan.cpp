#include "cubinet/precompile_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <set>

#include "cubinet/domain.hpp"
#include "cubinet/text.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

class Planner {
 public:
  Planner(Context& context, const PlanRequest& request) : context_(context), request_(request) {}

  std::vector<KernelJob> plan() {
    const auto& names = request_.words.names;
    if (request_.all) return plan_domains();
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
  std::vector<KernelJob> plan_domains() {
    if (request_.words.names.empty()) throw UsageError("precompile: --all needs a template's name");
    if (request_.all_presets || !request_.presets.empty()) {
      throw UsageError("precompile: --all is more than all presets; give one of them");
    }
    for (const std::string& name : request_.words.names) {
      const table::Template& tmpl = context_.impl().templates().find(name);
      const std::vector<Arch> archs = archs_for(context_, tmpl, request_.archs);
      for (const Arch arch : archs) note_other_choice(tmpl, arch);
      const Domain domain(tmpl, request_.words.constants);
      require_few(tmpl, domain, archs.size());
      domain.for_each([&](Signature&& signature) {
        for (const Arch arch : archs) add({signature, arch, request_.debug});
        return true;
      });
    }
    return std::move(jobs_);
  }

  void require_few(const table::Template& tmpl, const Domain& domain, std::size_t archs) const {
    const std::uint64_t bound = times(times(domain.combinations(), domain.bucket_steps()), archs);
    // So many are counted in a second or two.
    constexpr std::uint64_t kCountable = 1'000'000;
    const bool exact = bound <= kCountable;
    const std::uint64_t kernels = exact ? domain.count() * archs : bound;
    print_note(
        fmt::format("{}: {} combinations of constants, {} bucket steps, {} architecture{}: "
                    "{}{} kernels",
                    tmpl.name, domain.combinations(), domain.bucket_steps(), archs,
                    archs == 1 ? "" : "s", exact ? "" : "at most ", kernels));
    if (kernels <= request_.limit - std::min<std::uint64_t>(request_.limit, jobs_.size())) return;
    throw UsageError(fmt::format(
        "precompile {}: {}{} kernels are more than --limit {}; narrow them with --set "
        "CONSTANT=VALUE (again for a second value), or say --limit {}",
        tmpl.name, exact ? "" : "at most ", kernels, request_.limit, kernels + jobs_.size()));
  }

  static std::uint64_t times(std::uint64_t a, std::uint64_t b) {
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) return std::numeric_limits<std::uint64_t>::max();
    return product;
  }

  void add(KernelJob job) {
    if (known_.insert(job.signature.text(job.arch)).second) jobs_.push_back(std::move(job));
  }

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
        add({signature, arch, request_.debug});
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
