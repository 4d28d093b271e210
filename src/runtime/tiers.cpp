#include "runtime/tiers.hpp"

#include <system_error>
#include <utility>

namespace jit::inline v1 {

std::string_view name_of(TierKind kind) noexcept {
  return kind == TierKind::kDirectory ? "directory" : "pack";
}

Tiers::Tiers(const RuntimeOptions& options, const Directory* directory, const Logger& logger)
    : options_(options), directory_(directory) {
  for (const std::filesystem::path& path : options.packs) {
    // Opened at the first look, before which the process may go to another directory.
    std::error_code error;
    std::filesystem::path absolute = std::filesystem::absolute(path, error);
    packs_.push_back(std::make_unique<Pack>(
        PackOptions{error ? path : std::move(absolute), options.trust_group}, logger));
  }
}

const Directory* Tiers::directory(std::size_t tier) const noexcept {
  return tier < directories() ? directory_ : nullptr;
}

const Pack* Tiers::pack(std::size_t tier) const noexcept {
  return tier < directories() ? nullptr : packs_[tier - directories()].get();
}

TierKind Tiers::kind(std::size_t tier) const noexcept {
  return tier < directories() ? TierKind::kDirectory : TierKind::kPack;
}

const std::filesystem::path& Tiers::place(std::size_t tier) const noexcept {
  return tier < directories() ? directory_->root() : pack(tier)->path();
}

std::optional<Entry> Tiers::find(std::size_t tier, EntryQuery query, Miss* why) const {
  const bool packed = kind(tier) == TierKind::kPack;
  query.policy = packed ? options_.pack_toolchain_policy : options_.toolchain_policy;
  return packed ? pack(tier)->find(query, why) : directory_->find(query, why);
}

void Tiers::set_aside(std::size_t tier, const UnitKey& key,
                      const ToolchainId& toolchain) const noexcept {
  if (const Pack* const packed = pack(tier)) return packed->set_aside(key, toolchain);
  directory_->quarantine(key, toolchain, Damage::kRefusedByDriver);
}

}  // namespace jit::inline v1
