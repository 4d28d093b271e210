// The evidence of a tuning record from its JSON.
#pragma once

#include <nlohmann/json.hpp>

#include <span>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

// Everything but `at`. Members that are missing are as if they were never observed.
// Errors: LineSkip for a member of another type, and for evidence whose winner is not `set`.
TuningEvidence evidence_of(const nlohmann::json& from, std::span<const RecordedConstant> set);

}  // namespace jit::inline v1
