// EntryQuery: what is asked of one place where entries lie, and why it has no answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "cache/entry.hpp"
#include "jit/options.hpp"
#include "signature/artifact.hpp"
#include "signature/key.hpp"

namespace jit::inline v1 {

// What is asked of a directory or a pack.
struct EntryQuery {
  UnitKey key{};
  ToolchainId toolchain{};  // unknown where no NVRTC is installed: then any release may answer
  ToolchainPolicy policy = ToolchainPolicy::kExact;
  // What the driver takes: entries of a newer major are passed over, see loads_on. Unknown: any.
  std::optional<CompilerRelease> driver{};
};

enum class MissReason : std::uint8_t {
  kNone,             // it was found
  kAbsent,           // no such entry
  kOtherToolchain,   // there are entries of this key, by compilers that may not answer
  kNewerThanDriver,  // there are entries that might, made for a newer driver
  kDamaged,          // see damage
  kUnreadable,       // the system refused to read it
  kRefused,          // the directory or pack is not to be trusted; the last one
};
inline constexpr std::size_t kMissReasons = static_cast<std::size_t>(MissReason::kRefused) + 1;
std::string_view name_of(MissReason reason) noexcept;  // "other_toolchain"

// Why find() found nothing.
struct Miss {
  MissReason reason = MissReason::kNone;
  Damage damage = Damage::kNone;
  std::string detail;  // one line for people
};

// Of several reasons the one that tells most stays; later ones of the enumeration tell more.
void note(Miss& miss, MissReason reason, Damage damage, std::string detail);

// True if an entry of `release` may answer by the policy; `same_build` says that it was made by the
// very build that is asked for. What may not is noted.
bool may_answer(const EntryQuery& query, CompilerRelease release, bool same_build, Miss& miss);

// True if what `release` made can be loaded by the driver of the query.
bool is_loadable(const EntryQuery& query, CompilerRelease release) noexcept;

}  // namespace jit::inline v1
