#include "cache/entry_query.hpp"

#include <fmt/format.h>

#include <utility>

namespace jit::inline v1 {
namespace {

bool policy_allows(const EntryQuery& query, CompilerRelease release, bool same_build) {
  if (!query.toolchain.known() || query.policy == ToolchainPolicy::kAny) return true;
  if (query.policy == ToolchainPolicy::kExact) return same_build;
  return release == query.toolchain.release;
}

}  // namespace

std::string_view name_of(MissReason reason) noexcept {
  switch (reason) {
    case MissReason::kNone: return "none";
    case MissReason::kAbsent: return "absent";
    case MissReason::kOtherToolchain: return "other_toolchain";
    case MissReason::kNewerThanDriver: return "newer_than_driver";
    case MissReason::kDamaged: return "damaged";
    case MissReason::kUnreadable: return "unreadable";
    case MissReason::kRefused: return "refused";
  }
  return "?";
}

void note(Miss& miss, MissReason reason, Damage damage, std::string detail) {
  if (reason < miss.reason) return;
  miss = {reason, damage, std::move(detail)};
}

bool is_loadable(const EntryQuery& query, CompilerRelease release) noexcept {
  return !query.driver || loads_on(release, *query.driver);
}

bool may_answer(const EntryQuery& query, CompilerRelease release, bool same_build, Miss& miss) {
  if (!policy_allows(query, release, same_build)) {
    note(miss, MissReason::kOtherToolchain, Damage::kNone,
         fmt::format("made by nvrtc {}", release.text()));
    return false;
  }
  if (is_loadable(query, release)) return true;
  note(miss, MissReason::kNewerThanDriver, Damage::kNone,
       fmt::format("made by nvrtc {}, newer than the driver, which takes CUDA {}", release.text(),
                   query.driver->text()));
  return false;
}

}  // namespace jit::inline v1
