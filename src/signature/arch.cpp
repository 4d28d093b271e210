#include "signature/arch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "jit/error.hpp"

namespace jit::inline v1 {
namespace {

// One capability and the releases of NVRTC that compile for it.
// Source: release notes of CUDA 12.0 to 13.0, "supported architectures".
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
// Tegra's, nor between those and the others. Source: CUDA C++ Programming Guide, 3.1.2.
bool is_tegra(ComputeCapability capability) {
  constexpr std::array kTegra{ComputeCapability{7, 2}, ComputeCapability{8, 7},
                              ComputeCapability{8, 8}, ComputeCapability{10, 1},
                              ComputeCapability{11, 0}};
  return std::find(kTegra.begin(), kTegra.end(), capability) != kTegra.end();
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

}  // namespace

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
  return std::any_of(kKnown.begin(), kKnown.end(), [&](const Known& known) {
    return known.major == arch.major && known.minor == arch.minor &&
           within(release, since_of(known, arch.suffix), known.last);
  });
}

std::vector<Arch> known_archs(CompilerRelease release) {
  std::vector<Arch> archs;
  for (const Known& known : kKnown) {
    for (const char suffix : {'\0', 'a', 'f'}) {
      const Arch arch{static_cast<std::uint8_t>(known.major),
                      static_cast<std::uint8_t>(known.minor), suffix};
      if (compiler_knows(release, arch)) archs.push_back(arch);
    }
  }
  return archs;
}

bool runs_on(Arch arch, ComputeCapability capability) noexcept {
  if (arch.major != capability.major) return false;
  if (arch.suffix == 'a' || is_tegra(arch.capability()) || is_tegra(capability)) {
    return arch.minor == capability.minor;
  }
  return arch.minor <= capability.minor;
}

Arch choose_arch(Target target, ComputeCapability capability,
                 std::optional<CompilerRelease> release) {
  const char suffix = suffix_of(target, capability.major);
  std::optional<Arch> best;
  for (const Known& known : kKnown) {
    const Arch arch{static_cast<std::uint8_t>(known.major), static_cast<std::uint8_t>(known.minor),
                    suffix};
    const bool exists = since_of(known, suffix) != kNever;
    if (!exists || (release && !compiler_knows(*release, arch))) continue;
    if (runs_on(arch, capability) && (!best || arch.minor > best->minor)) best = arch;
  }
  if (!best) {
    throw Error(ErrorCode::kUnsupportedArch, explain_no_arch(target, capability, release));
  }
  return *best;
}

}  // namespace jit::inline v1
