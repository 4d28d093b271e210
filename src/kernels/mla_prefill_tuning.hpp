// The host side of mla_prefill as tuning sees it.
#pragma once

#include <memory>

#include "jit/tuning.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Sizes: num_query_tokens; num_key_tokens (else as many), num_sequences of equal length (1),
// num_heads (16), num_kv_heads (as many); num_query_rows, which only chooses a bucket, must be what
// follows from them. Inputs are random, see NormalPool; with LSEs and work counters. verify() looks
// at every element and compares rows of some heads, others each time, with the float64 reference.
std::unique_ptr<TuningProblem> make_mla_prefill_problem(Driver& driver,
                                                        const TuningProblemRequest& request);

}  // namespace jit::inline v1
