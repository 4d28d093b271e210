// Arch: a GPU architecture as a compile target, and the one function that chooses it.
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"

namespace jit::inline v1 {

// The release of NVRTC: 13.0.
struct CompilerRelease {
  std::uint16_t major = 0;
  std::uint16_t minor = 0;
  auto operator<=>(const CompilerRelease&) const = default;
  std::string text() const;
};

// True if a driver for CUDA `driver` loads the cubins of `compiler`: its own major or an older one,
// whatever the minors. Within a major even an older driver loads newer cubins ("minor version
// compatibility"; of PTX that does not hold, and there is none here).
// Source: CUDA Compatibility, "Minor Version Compatibility".
constexpr bool loads_on(CompilerRelease compiler, CompilerRelease driver) noexcept {
  return compiler.major <= driver.major;
}

// A device's compute capability: 9.0.
struct ComputeCapability {
  int major = 0;
  int minor = 0;
  auto operator<=>(const ComputeCapability&) const = default;
};

// What code a manifest asks for: kBase (sm_90) runs on every later minor of the same major,
// kFamily (sm_100f) has the features of a family, kSpecific (sm_90a) all of this architecture
// alone.
using Target = table::Target;
std::string_view name_of(Target target) noexcept;

// Arch is one compile target; `suffix` is 0, 'a' or 'f'. Equal to its text: "sm_90a".
struct Arch {
  std::uint8_t major = 0;
  std::uint8_t minor = 0;
  char suffix = 0;
  auto operator<=>(const Arch&) const = default;

  std::string text() const;
  // As in cubins' e_flags and compiler names: 90, 103, 120.
  int number() const noexcept { return major * 10 + minor; }
  ComputeCapability capability() const noexcept { return {major, minor}; }
  // "sm_90a" -> Arch; nullopt if it is not of that form.
  static std::optional<Arch> parse(std::string_view text);
};

// True if this release of NVRTC can compile for `arch`.
bool compiler_knows(CompilerRelease release, Arch arch) noexcept;

// True if any release of NVRTC that is known compiles for `arch`.
bool is_known(Arch arch) noexcept;

// All known architectures for people: "sm_80, sm_90, sm_90a, ...".
std::string known_archs_text();

// Why `release` does not compile for `arch`, and what to do; one line.
// Requires: !compiler_knows(release, arch).
std::string explain_unknown(CompilerRelease release, Arch arch);

// The targets that `release` compiles for, in rising order.
std::vector<Arch> known_archs(CompilerRelease release);

// True if code compiled for `arch` runs on a device of `capability`.
bool runs_on(Arch arch, ComputeCapability capability) noexcept;

// The architecture to compile for: the best that `release` knows, that `target` asks for, and that
// runs on `capability`. Without a release (no compiler at hand) every known target qualifies.
// Errors: kUnsupportedArch says which of the three does not fit.
Arch choose_arch(Target target, ComputeCapability capability,
                 std::optional<CompilerRelease> release);

// The same; nullopt where choose_arch throws.
std::optional<Arch> best_arch(Target target, ComputeCapability capability,
                              std::optional<CompilerRelease> release);

// Every architecture whose code serves a template of `target` on a device of `capability`, the best
// first: what to look for where nothing can be compiled. The first is what choose_arch chooses
// without a release; the rest are older minors, then targets more specific than was asked for.
std::vector<Arch> archs_that_serve(Target target, ComputeCapability capability);

}  // namespace jit::inline v1
