// Tuning records as a tuner would make them, for the pictures of them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "jit/tuning.hpp"

namespace jit::testing {

// merge_attn_states on an H200: THREADS x KEEP_IN_L1 over three sizes. Two variants are refused,
// one is wrong, one rejected, one was not reached. Of its steps:
//   decode: the untuned choice stays; prefill: another one is 8 % faster.
TuningRecord merge_record(const std::string& step);

// A template with four tunables, 60 variants over two sizes; some spill.
TuningRecord large_record();

// A record whose every text tries to be markup.
TuningRecord hostile_record();

// The records of both steps, the large one, and a hint without evidence.
std::vector<TuningRecord> all_records();

}  // namespace jit::testing
