// Tiers: the places below memory where an entry may lie, in the order in which they are asked: the
// directory, then the packs as they were named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "cache/directory.hpp"
#include "cache/pack.hpp"
#include "jit/options.hpp"

namespace jit::inline v1 {

enum class TierKind : std::uint8_t { kDirectory, kPack };
std::string_view name_of(TierKind kind) noexcept;  // "directory"

// What one tier answered.
struct TierAnswer {
  TierKind tier = TierKind::kDirectory;
  std::filesystem::path place;   // of the directory or the pack
  std::string_view miss_name{};  // empty if `entry` serves; else a MissReason's or kForbiddenMiss
  Miss miss{};                   // the same with its detail
  // Verified. One that may not serve is here as well: `miss_name` says so.
  std::optional<Entry> entry{};
  bool serves() const noexcept { return miss_name.empty(); }
};

// Tiers finds entries; contract of each tier in directory.hpp and pack.hpp.
// Threads: any. Lifetime: `options` and `directory`, which may be null, outlive it.
class Tiers {
 public:
  Tiers(const RuntimeOptions& options, const Directory* directory, const Logger& logger);

  std::size_t size() const noexcept { return directories() + packs_.size(); }
  TierKind kind(std::size_t tier) const noexcept;
  const std::filesystem::path& place(std::size_t tier) const noexcept;
  // Null where the tier is of the other kind.
  const Directory* directory(std::size_t tier) const noexcept;
  const Pack* pack(std::size_t tier) const noexcept;

  // Asks one tier, by the toolchain policy that the options have for its kind.
  // Requires: tier < size().
  std::optional<Entry> find(std::size_t tier, EntryQuery query, Miss* why) const;

  // Tells a tier that an entry of it is broken although its checksum holds.
  void set_aside(std::size_t tier, const UnitKey& key, const ToolchainId& toolchain) const noexcept;

 private:
  std::size_t directories() const noexcept { return directory_ == nullptr ? 0 : 1; }

  const RuntimeOptions& options_;
  const Directory* directory_;
  std::vector<std::unique_ptr<Pack>> packs_;
};

}  // namespace jit::inline v1
