// The table of all variants of a record, with every figure and reason.
#pragma once

#include "cubinet/report/html.hpp"
#include "cubinet/report/tuning_view.hpp"

namespace jit::inline v1 {

// The fastest first, those without a time last.
Html variant_table(const TuningView& view);

// "12 variants: 8 measured, 1 wrong, 1 refused, 1 rejected, 1 not timed"
std::string verdicts_text(const TuningView& view);

}  // namespace jit::inline v1
