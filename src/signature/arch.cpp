#include "signature/arch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

// One capability and the releases of NVRTC that compile for it.
// Source: release notes of CUDA 12.0 to 13.5, "supported architectures"; asked of the releases
// themselves by tests/tools/toolchains_arch_test.cpp.
struct Known {
  int major;
  int minor;
  CompilerRelease since;
  CompilerRelease specific_since;  // the 'a' target; {0, 0} where there is none
  CompilerRelease family_since;    // the 'f' target
  CompilerRelease last;            // {0, 0} while it is still supported
};
constexpr CompilerRelease kNever{0, 0};
constexpr CompilerRelease kAlways{11, 0};
constexpr std::array kKnown{
    Known{7, 0, kAlways, kNever, kNever, {12, 9}},
    Known{7, 2, kAlways, kNever, kNever, {12, 9}},
    Known{7, 5, kAlways, kNever, kNever, kNever},
    Known{8, 0, kAlways, kNever, kNever, kNever},
    Known{8, 6, kAlways, kNever, kNever, kNever},
    Known{8, 7, kAlways, kNever, kNever, kNever},
    Known{8, 8, {13, 0}, kNever, kNever, kNever},
    Known{8, 9, kAlways, kNever, kNever, kNever},
    Known{9, 0, kAlways, {12, 0}, kNever, kNever},
    Known{10, 0, {12, 8}, {12, 8}, {12, 9}, kNever},
    Known{10, 1, {12, 8}, {12, 8}, {12, 9}, {12, 9}},
    Known{10, 3, {12, 9}, {12, 9}, {12, 9}, kNever},
    Known{10, 7, {13, 4}, {13, 4}, {13, 4}, kNever},
    Known{11, 0, {13, 0}, {13, 0}, {13, 0}, kNever},
    Known{12, 0, {12, 8}, {12, 8}, {12, 9}, kNever},
    Known{12, 1, {12, 9}, {12, 9}, {12, 9}, kNever},
};

bool within(CompilerRelease release, CompilerRelease since, CompilerRelease last) {
  return since != kNever && release >= since && (last == kNever || release <= last);
}

CompilerRelease since_of(const Known& known, char suffix) {
  if (suffix == 'a') return known.specific_since;
  if (suffix == 'f') return known.family_since;
  return known.since;
}

// Code runs on later minors of its major on desktop and data-centre GPUs only: neither between
// Tegra's, nor between those and the others. Source: CUDA C++ Programming Guide, 3.1.2. Of 10.7
// nothing is promised, so it is taken to stand alone.
bool stands_alone(ComputeCapability capability) {
  constexpr std::array kAlone{ComputeCapability{7, 2},  ComputeCapability{8, 7},
                              ComputeCapability{8, 8},  ComputeCapability{10, 1},
                              ComputeCapability{10, 7}, ComputeCapability{11, 0}};
  return std::find(kAlone.begin(), kAlone.end(), capability) != kAlone.end();
}

char suffix_of(Target target, int major) {
  // Before compute capability 9.0 there is no other target than the base one.
  if (target == Target::kBase || major < 9) return 0;
  // Hopper has no family target: its specific one is what a family template needs.
  if (target == Target::kSpecific || major == 9) return 'a';
  return 'f';
}

std::string explain_no_arch(Target target, ComputeCapability capability,
                            std::optional<CompilerRelease> release) {
  const std::string compiler =
      release ? fmt::format("nvrtc {}.{}", release->major, release->minor) : "any known nvrtc";
  return fmt::format(
      "choose architecture: {} compiles no {} target that runs on compute capability {}.{}; "
      "install a newer NVRTC (CUBINET_NVRTC) or use another GPU",
      compiler, name_of(target), capability.major, capability.minor);
}

const Known* find_known(Arch arch) {
  const auto* known = std::find_if(kKnown.begin(), kKnown.end(), [&](const Known& row) {
    return row.major == arch.major && row.minor == arch.minor;
  });
  return known == kKnown.end() || since_of(*known, arch.suffix) == kNever ? nullptr : known;
}

Arch arch_of(const Known& known, char suffix) {
  return {static_cast<std::uint8_t>(known.major), static_cast<std::uint8_t>(known.minor), suffix};
}

}  // namespace

std::string CompilerRelease::text() const { return fmt::format("{}.{}", major, minor); }

std::string_view name_of(Target target) noexcept {
  switch (target) {
    case Target::kBase: return "base";
    case Target::kFamily: return "family";
    case Target::kSpecific: return "specific";
  }
  return "?";
}

std::string Arch::text() const {
  std::string text = fmt::format("sm_{}", number());
  if (suffix != 0) text += suffix;
  return text;
}

std::optional<Arch> Arch::parse(std::string_view text) {
  if (!text.starts_with("sm_")) return std::nullopt;
  text.remove_prefix(3);
  char suffix = 0;
  if (!text.empty() && (text.back() == 'a' || text.back() == 'f')) {
    suffix = text.back();
    text.remove_suffix(1);
  }
  if (text.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  if (text.size() < 2 || text.size() > 3 || text.front() == '0') return std::nullopt;
  return Arch{static_cast<std::uint8_t>(number / 10), static_cast<std::uint8_t>(number % 10),
              suffix};
}

bool compiler_knows(CompilerRelease release, Arch arch) noexcept {
  const Known* known = find_known(arch);
  return known != nullptr && within(release, since_of(*known, arch.suffix), known->last);
}

bool is_known(Arch arch) noexcept { return find_known(arch) != nullptr; }

std::string known_archs_text() {
  std::string text;
  for (const Known& known : kKnown) {
    text += fmt::format("{}{}", text.empty() ? "" : ", ", arch_of(known, 0).text());
    if (known.specific_since != kNever) text += fmt::format(", {}", arch_of(known, 'a').text());
    if (known.family_since != kNever) text += fmt::format(", {}", arch_of(known, 'f').text());
  }
  return text;
}

std::string explain_unknown(CompilerRelease release, Arch arch) {
  const Known* known = find_known(arch);
  if (known == nullptr) {
    return fmt::format(
        "there is no architecture {} that this version of cubinet knows; it knows {}", arch.text(),
        known_archs_text());
  }
  const CompilerRelease since = since_of(*known, arch.suffix);
  const bool too_old = release < since;
  return fmt::format("nvrtc {} does not know {}; use NVRTC {} or {} (CUBINET_NVRTC)",
                     release.text(), arch.text(), (too_old ? since : known->last).text(),
                     too_old ? "newer" : "older");
}

std::vector<Arch> known_archs(CompilerRelease release) {
  std::vector<Arch> archs;
  for (const Known& known : kKnown) {
    for (const char suffix : {'\0', 'a', 'f'}) {
      const Arch arch = arch_of(known, suffix);
      if (compiler_knows(release, arch)) archs.push_back(arch);
    }
  }
  return archs;
}

bool runs_on(Arch arch, ComputeCapability capability) noexcept {
  if (arch.major != capability.major) return false;
  if (arch.suffix == 'a' || stands_alone(arch.capability()) || stands_alone(capability)) {
    return arch.minor == capability.minor;
  }
  return arch.minor <= capability.minor;
}

std::optional<Arch> best_arch(Target target, ComputeCapability capability,
                              std::optional<CompilerRelease> release) {
  const char suffix = suffix_of(target, capability.major);
  std::optional<Arch> best;
  for (const Known& known : kKnown) {
    const Arch arch = arch_of(known, suffix);
    if (!is_known(arch) || (release && !compiler_knows(*release, arch))) continue;
    if (runs_on(arch, capability) && (!best || arch.minor > best->minor)) best = arch;
  }
  return best;
}

Arch choose_arch(Target target, ComputeCapability capability,
                 std::optional<CompilerRelease> release) {
  if (const auto best = best_arch(target, capability, release)) return *best;
  throw Error(ErrorCode::kUnsupportedArch, explain_no_arch(target, capability, release));
}

std::vector<Arch> archs_that_serve(Target target, ComputeCapability capability) {
  std::vector<Arch> archs;
  const char wanted = suffix_of(target, capability.major);
  for (const char suffix : {'\0', 'f', 'a'}) {
    // What is made for more GPUs than the template asks for lacks features that it needs.
    const bool too_general = wanted != 0 && (suffix == 0 || (wanted == 'a' && suffix == 'f'));
    if (too_general) continue;
    for (auto known = kKnown.rbegin(); known != kKnown.rend(); ++known) {
      const Arch arch = arch_of(*known, suffix);
      if (is_known(arch) && runs_on(arch, capability)) archs.push_back(arch);
    }
  }
  return archs;
}

}  // namespace jit::inline v1
