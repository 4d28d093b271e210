#include "runtime/tiers.hpp"

namespace jit::inline v1 {

std::string_view name_of(TierKind kind) noexcept {
  return kind == TierKind::kDirectory ? "directory" : "pack";
}

Tiers::Tiers(const RuntimeOptions& options, const Directory* directory)
    : options_(options), directory_(directory) {}

TierKind Tiers::kind(std::size_t) const noexcept { return TierKind::kDirectory; }

const std::filesystem::path& Tiers::place(std::size_t) const noexcept { return directory_->root(); }

std::optional<Entry> Tiers::find(std::size_t, EntryQuery query, Miss* why) const {
  query.policy = options_.toolchain_policy;
  return directory_->find(query, why);
}

void Tiers::set_aside(std::size_t, const UnitKey& key,
                      const ToolchainId& toolchain) const noexcept {
  directory_->quarantine(key, toolchain, Damage::kRefusedByDriver);
}

}  // namespace jit::inline v1
