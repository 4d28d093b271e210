#include "cubinet/precompile/precompile_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <set>

#include "cubinet/device_option.hpp"
#include "cubinet/precompile/domain.hpp"
#include "cubinet/record/recording_files.hpp"
#include "cubinet/text.hpp"
#include "runtime/recording_replay.hpp"
#include "runtime/runtime_impl.hpp"

namespace jit::inline v1 {
namespace {

class Planner {
 public:
  Planner(Context& context, const PlanRequest& request) : context_(context), request_(request) {}

  Plan plan() {
    if (request_.all) plan_domains();
    else plan_names();
    if (!request_.recordings.empty()) plan_recordings();
    return std::move(plan_);
  }

 private:
  void plan_names() {
    const auto& names = request_.words.names;
    if (names.empty() && request_.all_presets) {
      for (const table::Template* tmpl : context_.impl().templates().all()) add(*tmpl, true);
    }
    if (names.empty() && !request_.all_presets && request_.recordings.empty()) {
      throw UsageError(
          "precompile: name a template, say --all-presets for all of them, or --from a recording");
    }
    for (const std::string& name : names) add(context_.impl().templates().find(name), false);
  }

  void plan_recordings() {
    const Recording recording = read_recordings(request_.recordings);
    const Replay replayed = replay(context_.impl().templates(), recording);
    for (const SkippedLine& skipped : recording.skipped()) plan_.lost.push_back(text_of(skipped));
    for (const UnknownRequest& unknown : replayed.unknown) plan_.lost.push_back(text_of(unknown));
    std::map<const table::Template*, std::vector<Arch>> archs;  // of what was met so far
    for (const ReplayedRequest& request : replayed.requests) {
      const table::Template& tmpl = *request.signature.tmpl;
      if (!archs.contains(&tmpl)) archs[&tmpl] = usable_archs(tmpl, true);
      for (const Arch arch : archs[&tmpl]) add(request, arch);
    }
  }

  void add(const ReplayedRequest& request, Arch arch) {
    const table::Template& tmpl = *request.signature.tmpl;
    for (const RequestParts& asked : request.asked) {
      const Runtime::Impl::SignaturesFor wanted{arch, device_for(tmpl, arch), asked.steps};
      for (Signature& signature : context_.impl().signatures(tmpl, asked.constants, wanted)) {
        add({std::move(signature), arch, request.debug});
      }
    }
  }

  std::vector<Signature> signatures(const table::Template& tmpl,
                                    std::span<const Constant> constants, Arch arch) {
    return context_.impl().signatures(tmpl, constants, {arch, device_for(tmpl, arch)});
  }

  // With a note where no record knows the device that was named.
  std::optional<DeviceModel> device_for(const table::Template& tmpl, Arch arch) {
    if (request_.device.empty()) return std::nullopt;
    const auto [known, is_new] = devices_.try_emplace({&tmpl, arch});
    if (is_new) {
      known->second = find_device(context_, tmpl, arch, request_.device);
      if (!known->second) {
        print_note(fmt::format("{} for {}: no tuning record of {}; compiling what any device gets",
                               tmpl.name, arch.text(), request_.device));
      }
    }
    return known->second;
  }

  // With a note on what is passed over, if anything may be, else one error for all kernels; and a
  // note on what nobody will ask for.
  std::vector<Arch> usable_archs(const table::Template& tmpl, bool may_pass_over) {
    std::vector<Arch> archs;
    for (const Arch arch : archs_for(context_, tmpl, request_.archs)) {
      if (!may_pass_over) check_capability(tmpl, arch);
      if (!may_pass_over || supports(tmpl, arch)) archs.push_back(arch);
    }
    for (const Arch arch : archs) note_other_choice(tmpl, arch);
    return archs;
  }

  void plan_domains() {
    if (request_.words.names.empty()) throw UsageError("precompile: --all needs a template's name");
    if (request_.all_presets || !request_.presets.empty()) {
      throw UsageError("precompile: --all is more than all presets; give one of them");
    }
    for (const std::string& name : request_.words.names) {
      const table::Template& tmpl = context_.impl().templates().find(name);
      const std::vector<Arch> archs = usable_archs(tmpl, false);
      std::vector<Domain> domains;
      for (const Arch arch : archs) {
        domains.emplace_back(tmpl, request_.words.constants,
                             [this, &tmpl, arch](std::span<const Constant> constants) {
                               return signatures(tmpl, constants, arch);
                             });
      }
      require_few(tmpl, domains);
      // One kernel after the other, for each architecture: as they are asked for.
      for (std::size_t i = 0; i < archs.size(); ++i) {
        domains[i].for_each([&](Signature&& signature) {
          add({std::move(signature), archs[i], request_.debug});
          return true;
        });
      }
    }
  }

  void require_few(const table::Template& tmpl, const std::vector<Domain>& domains) const {
    const Domain& domain = domains.front();
    const std::size_t archs = domains.size();
    const std::uint64_t bound = times(times(domain.combinations(), domain.bucket_steps()), archs);
    // So many are counted in a second or two.
    constexpr std::uint64_t kCountable = 1'000'000;
    const bool exact = bound <= kCountable;
    const std::uint64_t kernels =
        !exact ? bound
               : std::accumulate(
                     domains.begin(), domains.end(), std::uint64_t{0},
                     [](std::uint64_t sum, const Domain& one) { return sum + one.count(); });
    print_note(
        fmt::format("{}: {} combinations of constants, {} bucket steps, {} architecture{}: "
                    "{}{} kernels",
                    tmpl.name, domain.combinations(), domain.bucket_steps(), archs,
                    archs == 1 ? "" : "s", exact ? "" : "at most ", kernels));
    if (kernels <= request_.limit - std::min<std::uint64_t>(request_.limit, plan_.jobs.size()))
      return;
    throw UsageError(fmt::format(
        "precompile {}: {}{} kernels are more than --limit {}; narrow them with --set "
        "CONSTANT=VALUE (again for a second value), or say --limit {}",
        tmpl.name, exact ? "" : "at most ", kernels, request_.limit, kernels + plan_.jobs.size()));
  }

  static std::uint64_t times(std::uint64_t a, std::uint64_t b) {
    std::uint64_t product = 0;
    if (__builtin_mul_overflow(a, b, &product)) return std::numeric_limits<std::uint64_t>::max();
    return product;
  }

  void add(KernelJob job) {
    const std::string text = fmt::format("{}#{}", job.signature.text(job.arch), name_of(job.debug));
    if (known_.insert(text).second) plan_.jobs.push_back(std::move(job));
  }

  void add(const table::Template& tmpl, bool may_pass_over) {
    const std::vector<Arch> archs = usable_archs(tmpl, may_pass_over);
    if (!request_.all_presets && request_.presets.empty()) return add(tmpl, nullptr, archs);
    for (const std::string& name : request_.presets) add(tmpl, &preset_of(tmpl, name), archs);
    if (!request_.all_presets) return;
    for (const table::Preset& preset : tmpl.presets) add(tmpl, &preset, archs);
  }

  void add(const table::Template& tmpl, const table::Preset* preset,
           const std::vector<Arch>& archs) {
    const auto constants = constants_of(tmpl, preset, request_.words);
    for (const Arch arch : archs) {
      for (Signature& signature : signatures(tmpl, constants, arch)) {
        add({std::move(signature), arch, request_.debug});
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

  Context& context_;
  const PlanRequest& request_;
  Plan plan_;
  std::set<std::string> known_;
  std::map<std::pair<const table::Template*, Arch>, std::optional<DeviceModel>> devices_;
};

}  // namespace

Plan make_plan(Context& context, const PlanRequest& request) {
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

void note_other_choice(const table::Template& tmpl, Arch arch) {
  if (tmpl.target != Target::kBase || arch.suffix == 0) return;
  const Arch choice{arch.major, arch.minor, 0};
  print_note(
      fmt::format("{} has target base: on compute capability {}.{} get_kernel asks for {}, "
                  "not {}",
                  tmpl.name, arch.major, arch.minor, choice.text(), arch.text()));
}

}  // namespace jit::inline v1
