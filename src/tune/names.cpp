// What the enumerators of tuning are called in tables and JSON.
#include "tune/tuning_table.hpp"

namespace jit::inline v1 {

std::string_view name_of(RecordIssue issue) noexcept {
  switch (issue) {
    case RecordIssue::kNone: return "none";
    case RecordIssue::kDamaged: return "damaged";
    case RecordIssue::kOtherTemplate: return "other_template";
    case RecordIssue::kOldBundle: return "old_bundle";
    case RecordIssue::kOtherArch: return "other_arch";
    case RecordIssue::kPinned: return "pinned";
    case RecordIssue::kOutOfDomain: return "out_of_domain";
    case RecordIssue::kReplaced: return "replaced";
  }
  return "?";
}

}  // namespace jit::inline v1
