// What the measured stage found, as tables.
#pragma once

#include <span>
#include <string>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

// For each record a table of its variants, the fastest first, with times and their spread at every
// size, and what was chosen against the untuned choice.
std::string measured_text(std::span<const TuningRecord> records);

}  // namespace jit::inline v1
