// The host side of paged_mqa_logits_metadata as tuning sees it.
#pragma once

#include <memory>

#include "jit/tuning.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Sizes: batch; next_n, else 1; max_context_len, else 8192; num_workers, else 132. Lengths are
// random, others in each set of operands; verify() compares every entry with the reference.
std::unique_ptr<TuningProblem> make_paged_mqa_logits_metadata_problem(
    Driver& driver, const TuningProblemRequest& request);

}  // namespace jit::inline v1
