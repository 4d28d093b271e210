// UnitKey: what is asked of the compiler, as a digest.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/runtime.hpp"
#include "signature/arch.hpp"

namespace jit::inline v1 {

// Raised whenever the meaning of anything hashed into a key changes.
inline constexpr int kKeyFormatVersion = 1;

// UnitKey is SHA-256 over {format version, rendered unit, bundle digest, architecture, canonical
// options}. It holds no path, time, user, machine, driver or compiler build.
struct UnitKey {
  std::array<std::uint8_t, 32> bytes{};
  auto operator<=>(const UnitKey&) const = default;
  std::string hex() const;  // 64 digits
};

// The options of a compile that are part of its key, in their one canonical order.
std::vector<std::string> canonical_options(const table::Template& tmpl, Debug debug);

std::string_view name_of(Debug debug) noexcept;

// What a key is taken over, as text: one tagged field per line. The answer to "why did it miss" is
// a diff of two transcripts.
std::string key_transcript(std::string_view unit, const table::Digest& bundle, Arch arch,
                           std::span<const std::string> options);

UnitKey make_key(std::string_view unit, const table::Digest& bundle, Arch arch,
                 std::span<const std::string> options);

}  // namespace jit::inline v1
