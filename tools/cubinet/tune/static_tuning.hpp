// Static tuning: every variant compiled by the farm, or known before, and judged by what the
// compiler said.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cubinet/precompile/precompile.hpp"
#include "cubinet/precompile/precompile_report.hpp"
#include "cubinet/tune/tuning_plan.hpp"
#include "jit/tuning.hpp"

namespace jit::inline v1 {

struct StaticRun {
  // One per task, see record_of(): with the compiler's release and a verdict on every variant.
  std::vector<TuningRecord> records;
  // The kernels that were compiled here, or found; those refused before are not among them.
  PrecompileRun farm;
  std::size_t known_refused = 0;  // variants that were refused by an earlier run
  // Variants of which nothing is known, because their worker was lost or the run was stopped: there
  // is no verdict on them but kRefused, with a reason for which is_unknown() holds.
  std::size_t unknown = 0;
};

inline constexpr std::string_view kNotKnown = "not known: ";
inline bool is_unknown(const TuningVariant& variant) noexcept {
  return variant.verdict == TuningVerdict::kRefused && variant.reason.starts_with(kNotKnown);
}

// Compiles what the cache does not have. Candidates that do not compile are results, and kept.
// Errors: those of Precompile::run().
StaticRun run_static_stage(Context& context, std::span<const TuningTask> tasks,
                           const FarmOptions& options, bool json);

}  // namespace jit::inline v1
