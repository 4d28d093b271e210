// Tuning records as JSON lines, and back.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

// Reads one line. Members that this version does not know are passed over.
// Returns: nullopt and `why`, in a few words, for a line that is no record.
std::optional<TuningRecord> parse_tuning_record(std::string_view line, std::string& why);

struct TuningLine {
  std::string place;  // "tuning.jsonl:17"
  std::optional<TuningRecord> record;
  std::string why;  // where there is none
};

// Every line that is not empty.
std::vector<TuningLine> parse_tuning_records(std::string_view text, std::string_view source);

// One record for each thing that is tuned (all of a record but `set` and `evidence`), sorted by it:
// the newest by evidence.at, then the greater line. The same whatever the order they came in.
std::vector<TuningRecord> merge_tuning_records(std::vector<TuningRecord> records);

}  // namespace jit::inline v1
