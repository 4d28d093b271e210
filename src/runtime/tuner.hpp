// Tuner: measures the variants of a template on a GPU and says which is fastest.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "jit/template_table.hpp"
#include "jit/tuning.hpp"
#include "signature/selection.hpp"

namespace jit::inline v1 {

// What is tuned: one template for some shape constants, in all bucket steps or in one.
struct TuningJob {
  const table::Template& tmpl;
  std::span<const Constant> constants;  // shape constants; those with a default may be left out
  std::optional<BucketSteps> steps;     // nullopt: every combination
  TuneOptions options;
};

}  // namespace jit::inline v1
