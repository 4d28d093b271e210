// How good the tuner's choices are, and how steady.
#pragma once

#include <string>

#include "bench/report.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

// Tunes one preset of merge_attn_states `times` times, each time with new inputs, beside one sweep
// that times every variant to the end. Adds, for each bucket step, a row "choice against a sweep"
// of the first time, and, if there were others, a row "tuned again".
void bench_choices(Runtime& runtime, const std::string& preset, int times, BenchReport& report);

}  // namespace jit::inline v1
