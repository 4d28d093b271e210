// Layout: names of directories and files below the root. They are made of digests and numbers only,
// never of text that came from outside.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/entry.hpp"
#include "signature/artifact.hpp"
#include "signature/key.hpp"

namespace jit::inline v1 {

// "v2": entries of another format lie in another directory, so that an older or newer Cubinet that
// shares the cache neither sees them nor sets them aside.
inline constexpr std::array<char, 3> kFormatName = {'v', '0' + kEntryFormatVersion, 0};
static_assert(kEntryFormatVersion < 10);
inline constexpr const char* kFormatDirectory = kFormatName.data();
inline constexpr const char* kTemporaryDirectory = "tmp";
inline constexpr const char* kQuarantineDirectory = "quarantine";
inline constexpr const char* kLockFile = "locks";
inline constexpr std::string_view kEntrySuffix = ".cubinet";

// True for two lower-case hex digits.
bool is_shard_name(std::string_view name) noexcept;

// What the name of an entry's file says.
struct EntryName {
  UnitKey key;
  CompilerRelease release;
  std::array<std::uint8_t, 4> build{};  // the first bytes of the toolchain's
  bool matches(const ToolchainId& toolchain) const noexcept;
};

// "<64 hex>.13.0-1f3a9c0d.cubinet"
std::string entry_name(const UnitKey& key, const ToolchainId& toolchain);
// Returns: nullopt for any name that entry_name does not make.
std::optional<EntryName> parse_entry_name(std::string_view name);

}  // namespace jit::inline v1
