// The host side of merge_attn_states as tuning sees it.
#pragma once

#include <memory>

#include "jit/tuning.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Sizes: num_tokens; num_heads, else 32; num_context_tokens, else all. Inputs are random, see
// RandomPool; verify() compares some tokens, others each time, with the float64 reference, and
// looks at the whole output for elements that nobody wrote.
std::unique_ptr<TuningProblem> make_merge_attn_states_problem(Driver& driver,
                                                              const TuningProblemRequest& request);

}  // namespace jit::inline v1
