// What the enumerators of tuning are called in records, tables and JSON.
#include "jit/tuning.hpp"
#include "tune/tuning_table.hpp"

namespace jit::inline v1 {

std::string_view name_of(TuningVerdict verdict) noexcept {
  switch (verdict) {
    case TuningVerdict::kMeasured: return "measured";
    case TuningVerdict::kWrong: return "wrong";
    case TuningVerdict::kRefused: return "refused";
    case TuningVerdict::kRejected: return "rejected";
    case TuningVerdict::kNotReached: return "not_reached";
  }
  return "?";
}

std::string_view name_of(RecordIssue issue) noexcept {
  switch (issue) {
    case RecordIssue::kNone: return "none";
    case RecordIssue::kDamaged: return "damaged";
    case RecordIssue::kOtherTemplate: return "other_template";
    case RecordIssue::kOldBundle: return "old_bundle";
    case RecordIssue::kOtherArch: return "other_arch";
    case RecordIssue::kOutOfDomain: return "out_of_domain";
    case RecordIssue::kReplaced: return "replaced";
  }
  return "?";
}

}  // namespace jit::inline v1
