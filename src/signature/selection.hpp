// Selection: from sizes to bucket steps, and from shape constants and steps to tunables.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "jit/template_table.hpp"

namespace jit::inline v1 {

inline constexpr std::size_t kMaxBuckets = 8;

// The chosen step of every bucket of a template, by position.
using BucketSteps = std::array<std::uint8_t, kMaxBuckets>;

// The step of `bucket` that `size` falls into.
std::uint32_t step_of(const table::BucketDecl& bucket, std::int64_t size) noexcept;

// The steps that `sizes` select; a bucket without a size takes its default.
// Errors: kInvalidArgument for a size that the template does not declare as a run-time value, is
// given twice, or is negative. Cost: some nanoseconds; allocates nothing unless it throws.
BucketSteps steps_of(const table::Template& tmpl, const Sizes& sizes);

// Every combination of steps; one where there is no bucket.
std::vector<BucketSteps> all_steps(const table::Template& tmpl);

// The first row whose conditions hold, or nullptr. `values` are the template's constants by
// position; only the shape constants are looked at.
const table::SelectionRow* select_row(const table::Template& tmpl, std::span<const Value> values,
                                      const BucketSteps& steps);

}  // namespace jit::inline v1
