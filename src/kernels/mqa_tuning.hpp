// The host side of mqa_logits as tuning sees it.
#pragma once

#include <memory>

#include "jit/tuning.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Sizes: num_tokens, num_keys; one causal sequence. Inputs are random, see MqaDevicePool; verify()
// looks at every position and compares some tokens, others each time, with the float64 reference.
std::unique_ptr<TuningProblem> make_mqa_logits_problem(Driver& driver,
                                                       const TuningProblemRequest& request);

}  // namespace jit::inline v1
