// The benchmark of tuning: that no request pays for it, and how good its choices are.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/report.hpp"
#include "jit/runtime.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

struct TuningBenchOptions {
  std::vector<std::string> presets{"bf16_d128", "bf16_d128_fp8", "bf16_d128_fp8_group128",
                                   "bf16_d256_fp8"};  // of merge_attn_states
  int processes = 16;                                 // that tune on a miss together
  int counts = 12;   // distinct token counts that are tuned as if they were constants
  int repeats = 10;  // times that the same thing is tuned
  std::uint64_t seed = 1;
  // Called when another part is in the report: the whole takes minutes.
  std::function<void(std::string_view part)> after_part = [](std::string_view) {};
};

// Measures, in turn:
// - 10,000 requests for every preset of the shipped templates with random token counts, after a
//   warm-up;
// - the same in several processes at once that tune on a miss, with the presets of the options;
// - what a token count in the key would have cost: the same kernel and tuner, for each of some
//   token counts among those requests;
// - the tuner's choices against a sweep that times every variant to the end, and against each
//   other when the same thing is tuned again and again.
// A row says what was seen; nothing is asserted but that the machinery worked.
// Errors: kInvalidArgument for a preset that is none; those of Runtime.
void bench_tuning(Runtime& runtime, Driver& driver, const TuningBenchOptions& options,
                  BenchReport& report);

}  // namespace jit::inline v1
