// The host side of paged_mqa_logits as tuning sees it.
#pragma once

#include <memory>

#include "jit/tuning.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Sizes: batch; context_lens, the average of a request, of which it has 0.7 to 1.3. Inputs are
// random, see MqaDevicePool; verify() looks at every position and compares some requests, others
// each time, with the float64 reference.
std::unique_ptr<TuningProblem> make_paged_mqa_logits_problem(Driver& driver,
                                                             const TuningProblemRequest& request);

}  // namespace jit::inline v1
