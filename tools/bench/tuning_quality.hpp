// How good the tuner's choices are, and how steady.
#pragma once

#include <string>

#include "bench/report.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

// Rows "choice against a sweep": for one preset of merge_attn_states, a row for each bucket step.
void bench_against_sweep(Runtime& runtime, const std::string& preset, BenchReport& report);

// Rows "tuned again": likewise; the same thing is tuned `repeats` times, with new inputs each time.
void bench_repeats(Runtime& runtime, const std::string& preset, int repeats, BenchReport& report);

}  // namespace jit::inline v1
