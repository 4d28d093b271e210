// Tuning table: records as a pure look-up from a signature without tunables to tunables.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/tuning.hpp"
#include "signature/arch.hpp"
#include "signature/signature.hpp"
#include "signature/table_arena.hpp"
#include "signature/tuning_record_text.hpp"

namespace jit::inline v1 {

// Why a record is not used; each has its name and is never an error.
enum class RecordIssue : std::uint8_t {
  kNone,
  kDamaged,        // no record: torn, not JSON, members missing or of another type
  kOtherTemplate,  // of a template that is not known here
  kOldBundle,      // measured with other device code
  kOtherArch,      // of an architecture that is not known, or no target of the template
  kOutOfDomain,    // names a constant, step or value that the template does not have
  kReplaced,       // another record for the same thing counts before it
  kPinned,         // a request pins a tunable otherwise; said of that request alone
};
std::string_view name_of(RecordIssue issue) noexcept;  // "old_bundle"

struct SkippedRecord {
  std::string place;  // "tuning.jsonl:17"
  std::string name;   // of the template; empty where the line does not say
  RecordIssue issue = RecordIssue::kNone;
  std::string reason;  // one line for people
};

// What a request is resolved for, besides itself.
struct TuningTarget {
  Arch arch;
  std::optional<CompilerRelease> release;  // of the compiler at hand; nullopt: any will do
  std::optional<DeviceModel> device;       // nullopt: no GPU is spoken of
};

// Who chose the tunables of a record, and how near it is.
enum class TuningRule : std::uint8_t {
  kExact,  // this device, this release of the compiler
  kHint,   // another device of the architecture, or another release
};
std::string_view name_of(TuningRule rule) noexcept;  // "hint"

struct TunedChoice {
  TuningRule rule = TuningRule::kExact;
  std::span<const Constant> set;  // tunables; lives as long as the table
  std::string_view device;        // the model that was measured
  std::string_view toolchain;     // the release that compiled it: "13.0"
  std::string_view place;         // where the record was read
};

// The template of that name, or nullptr.
using FindTemplate = std::function<const table::Template*(std::string_view name)>;

// TuningTable is filled once and then only read. It refers to the templates whose records it holds:
// they outlive it. Threads: after it is filled, any.
class TuningTable {
 public:
  TuningTable() = default;
  TuningTable(TuningTable&&) = default;
  TuningTable& operator=(TuningTable&&) = default;

  // Sources are added in the order in which they count; of two records for one thing the first
  // counts, but one that is not complete gives way to a complete one. A record that does not fit
  // `tmpl` as it is now (tuning_digest, domains) is skipped, see skipped().
  void add(const table::Template& tmpl, const TuningRecord& record, std::string_view place);
  void add(const table::Template& tmpl, const table::TuningRecord& record);
  // All lines of one source, the newest first; those that are no record are skipped.
  void add(std::vector<TuningLine> lines, const FindTemplate& find);

  // The record for these shape constants and steps on the target's compute capability (whatever the
  // suffix of its arch) that agrees with `pinned`: that of the target's device and release if there
  // is one, else the nearest hint: same device before others, then the nearest number of
  // multiprocessors, then memory, then the name, then the target's release before the newest other
  // one; the same on every machine. Without a release in the target the newest counts as the
  // target's; where no device is spoken of, the largest counts as nearest, and is a hint.
  // `values` are the template's constants by position, of which only shape constants are looked at;
  // `pinned` is what the caller gave, of which only tunables are.
  std::optional<TunedChoice> choose(const table::Template& tmpl, std::span<const Value> values,
                                    std::span<const Constant> pinned, const BucketSteps& steps,
                                    const TuningTarget& target) const;

  // Every choice that any device and release of that capability could get; empty if none has a
  // record, and then everybody gets the untuned choice.
  std::vector<TunedChoice> choices(const table::Template& tmpl, std::span<const Value> values,
                                   std::span<const Constant> pinned, const BucketSteps& steps,
                                   Arch arch) const;

  // The models of GPU that some record of `tmpl` for `arch` was measured on, sorted.
  std::vector<DeviceModel> devices(const table::Template& tmpl, Arch arch) const;

  // Of the records that count, whatever order they came in: ranks of one job that show the same
  // digest choose alike. 0 without records. Cost: a look at every record.
  std::uint64_t digest() const;

  std::size_t size() const noexcept { return size_; }
  const std::vector<SkippedRecord>& skipped() const noexcept { return skipped_; }

 private:
  struct Row {
    Arch arch;
    CompilerRelease release;
    DeviceModel device;
    std::string_view toolchain;
    std::string_view place;
    std::span<const Constant> set;
    bool complete = true;
  };
  struct Offer;  // a record that is not yet known to fit

  void add(const table::Template& tmpl, const Offer& offer);
  static bool agrees(const Row& row, std::span<const Constant> pinned);
  static TunedChoice choice_of(const Row& row, const TuningTarget& target);
  const std::vector<Row>* rows_of(const table::Template& tmpl, std::span<const Value> values,
                                  const BucketSteps& steps) const;

  TableArena arena_;
  std::map<std::string, std::vector<Row>, std::less<>> rows_;  // by template, shape and steps
  std::size_t size_ = 0;
  std::vector<SkippedRecord> skipped_;
};

// resolve() with the choice of the table for what is not pinned.
// Errors: those of resolve().
Signature resolve(const table::Template& tmpl, std::span<const Constant> constants,
                  const BucketSteps& steps, const TuningTable& table, const TuningTarget& target);

// The distinct signatures of these constants over every step of every bucket: for the target's
// device, or, where none is spoken of, for whatever device and release of the architecture may ask.
std::vector<Signature> resolve_all_buckets(const table::Template& tmpl,
                                           std::span<const Constant> constants,
                                           const TuningTable& table, const TuningTarget& target);
// The same over some steps alone.
std::vector<Signature> resolve_in_steps(const table::Template& tmpl,
                                        std::span<const Constant> constants,
                                        std::span<const BucketSteps> steps,
                                        const TuningTable& table, const TuningTarget& target);

}  // namespace jit::inline v1
