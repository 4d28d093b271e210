// Tuning records as JSON lines, and back; kernel_templates/README.md has the grammar.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"
#include "jit/tuning.hpp"
#include "signature/arch.hpp"

namespace jit::inline v1 {

inline constexpr std::size_t kMaxTuningFileBytes = std::size_t{64} << 20;
inline constexpr std::size_t kMaxTuningLineBytes = std::size_t{4} << 20;  // longer is no record

// How much of a line is wanted.
enum class RecordPart : std::uint8_t {
  kWhole,
  kChoice,  // without the evidence, but for its time and completeness: the cost of a long line is
            // that of its head
};

// Reads one line. Members that this version does not know are passed over.
// Returns: nullopt and `why`, in a few words, for a line that is no record. A record whose evidence
// is none is one without; `why` says so then, and else is empty.
std::optional<TuningRecord> parse_tuning_record(std::string_view line, std::string& why,
                                                RecordPart part = RecordPart::kWhole);

struct TuningLine {
  std::string place;  // "tuning.jsonl:17"
  std::optional<TuningRecord> record;
  std::string why;  // where there is none, or none of its evidence
};

// Every line that is not empty, as they come.
std::vector<TuningLine> parse_tuning_records(std::string_view text, std::string_view source,
                                             RecordPart part = RecordPart::kWhole);

// Puts the lines of one source in the order in which they count for a TuningTable: what
// merge_tuning_records() would keep comes first, so that a file to which processes append means the
// same as the merged one. Lines without a record are last.
void sort_newest_first(std::vector<TuningLine>& lines);

// One record for each thing that is tuned (all of a record but `set` and `evidence`), sorted by it:
// a complete one before others, then the newest by evidence.at, then the one with more variants in
// its evidence, then the greater line. The same whatever the order they came in.
std::vector<TuningRecord> merge_tuning_records(std::vector<TuningRecord> records);

// The record without what was seen while it was made, but for its time and completeness.
TuningRecord without_evidence(const TuningRecord& record);

// A shipped record as it would be read from a file. Requires: shipped.problem is empty.
TuningRecord make_tuning_record(const table::Template& tmpl, const table::TuningRecord& shipped);

// "13.0" -> {13, 0}
std::optional<CompilerRelease> parse_release(std::string_view text) noexcept;
std::optional<TuningVerdict> parse_verdict(std::string_view name) noexcept;

}  // namespace jit::inline v1
