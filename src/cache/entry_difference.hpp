// Entry difference: in what two entries differ, component by component, in words.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cache/entry.hpp"

namespace jit::inline v1 {

// What a key and a toolchain consist of, in the order in which it is told. The first that differs
// is the reason; the others are often its consequences.
enum class Component : std::uint8_t {
  kTemplate,
  kKeyFormat,
  kConstant,
  kArchitecture,
  kOption,
  kFile,
  kBundle,  // though no file differs
  kUnit,    // though nothing above differs
  kToolchain,
  kProducer,  // the last one; says nothing of the kernel
};
std::string_view name_of(Component component) noexcept;  // "constant"

// How a component that is there or not has changed.
inline constexpr std::string_view kAdded = "added";
inline constexpr std::string_view kRemoved = "removed";
inline constexpr std::string_view kChanged = "changed";

struct Difference {
  Component component = Component::kTemplate;
  std::string name;      // of the constant, option or file; else empty
  std::string from, to;  // empty where `how` says it all
  std::string_view how;  // kAdded, kRemoved or kChanged; empty: from -> to
  std::string note;      // more, for people

  // "constant kBlockN 128 -> 96", "file common/ptx.cuh changed"
  std::string text() const;
};

// From what is known to what is asked for. A toolchain that is not known (none at hand) differs
// from none. Both need no cubin.
std::vector<Difference> differences(const Entry& from, const Entry& to);

// "name[K=V,L=W]@sm_90a" -> {K, V}, {L, W}
std::vector<std::pair<std::string, std::string>> constants_of(std::string_view signature);

// "13.0.88", or "13.0 (build 1f3a9c0d)" where the entry does not know the third number.
std::string nvrtc_text(const Artifact& artifact);

}  // namespace jit::inline v1
