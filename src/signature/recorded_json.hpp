// What recordings and tuning records have in common as JSON: constants, buckets, and lines that are
// neither.
#pragma once

#include <nlohmann/json.hpp>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/recording.hpp"

namespace jit::inline v1 {

// Thrown within a reader of lines: why this line is skipped, in a few words.
struct LineSkip {
  std::string reason;
};

// Errors: LineSkip for a value of another type; `what` names it.
std::string recorded_text(const nlohmann::json& value, std::string_view what);
RecordedConstant recorded_constant(const std::string& name, const nlohmann::json& value);

nlohmann::ordered_json json_of(std::span<const RecordedConstant> constants);
nlohmann::ordered_json json_of(std::span<const RecordedBucket> buckets);

// One line of plain ASCII; what is no UTF-8 is replaced.
std::string line_of(const nlohmann::ordered_json& object);

}  // namespace jit::inline v1
