// The host side of fp8_attention as tuning sees it.
#pragma once

#include <memory>

#include "jit/tuning.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// Sizes: num_query_tokens; num_key_tokens (else as many), num_sequences of equal length (1),
// num_heads (16), num_kv_heads (an eighth, or a sixteenth with kPackGqa 16); max_query_rows, which
// only chooses a bucket, is that of some kPackGqa. Inputs are random, see NormalPool; with LSEs and
// work counters; pages are shuffled. With SPLIT the keys are in kFp8TuningSplits parts, which are
// joined on the host. verify() looks at every element and compares rows, others each time, with the
// float64 reference.
std::unique_ptr<TuningProblem> make_fp8_attention_problem(Driver& driver,
                                                          const TuningProblemRequest& request);

inline constexpr int kFp8TuningSplits = 4;

}  // namespace jit::inline v1
