// What the static stage found, as a table and as JSON.
#pragma once

#include <span>
#include <string>

#include "cubinet/json.hpp"
#include "cubinet/tune/static_tuning.hpp"

namespace jit::inline v1 {

// A table per shape, architecture and bucket step; steps that nothing tells apart share one. The
// most promising variants come first.
std::string static_text(std::span<const TuningRecord> records);
// How much was compiled for it, in one line.
std::string farm_line(const StaticRun& run);

Json static_json(const StaticRun& run);

}  // namespace jit::inline v1
