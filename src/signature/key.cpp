#include "signature/key.hpp"

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/hex.hpp"
#include "signature/artifact.hpp"

namespace jit::inline v1 {

std::string UnitKey::hex() const { return to_hex(bytes); }

std::string ToolchainId::text() const {
  if (!known()) return "unknown";
  return fmt::format("nvrtc-{}.{}-{}", release.major, release.minor,
                     to_hex(std::span(build).first(4)));
}

std::string_view name_of(Debug debug) noexcept {
  switch (debug) {
    case Debug::kNone: return "none";
    case Debug::kLineInfo: return "lineinfo";
    case Debug::kFull: return "full";
  }
  return "?";
}

std::vector<std::string> canonical_options(const table::Template& tmpl, Debug debug) {
  std::vector<std::string> options{"--std=c++17"};
  for (const std::string_view option : tmpl.compiler_options) options.emplace_back(option);
  if (debug == Debug::kLineInfo) options.emplace_back("--generate-line-info");
  if (debug == Debug::kFull) options.emplace_back("--device-debug");
  return options;
}

std::string key_transcript(std::string_view unit, const table::Digest& bundle, Arch arch,
                           std::span<const std::string> options) {
  std::string text = fmt::format("cubinet key {}\narch {}\nbundle {}\n", kKeyFormatVersion,
                                 arch.text(), to_hex(bundle));
  // Lengths keep two fields from being read as one.
  for (const std::string& option : options) {
    text += fmt::format("option {} {}\n", option.size(), option);
  }
  text += fmt::format("unit {}\n{}", unit.size(), unit);
  return text;
}

UnitKey make_key(std::string_view unit, const table::Digest& bundle, Arch arch,
                 std::span<const std::string> options) {
  return {sha256(key_transcript(unit, bundle, arch, options))};
}

}  // namespace jit::inline v1
