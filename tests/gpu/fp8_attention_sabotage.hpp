// What may go wrong in a kernel of fp8_attention: results that were changed, and right results with
// operands that are not theirs, as those of a kernel that reads, scales or masks amiss.
#pragma once

#include <functional>
#include <vector>

#include "gpu/fp8_attention_case.hpp"

namespace jit::test {

// A case, its operands and what came out: all of it may be tampered with.
struct Fp8Launch {
  Fp8Case fp8;
  Fp8Inputs inputs;
  Fp8Outcome outcome;
};

struct Fp8Sabotage {
  const char* name;
  std::function<void(Fp8Launch&)> apply;
};

// Two sequences of several tiles, all operands there are, padding between everything; e4m3 output
// with a scale.
Fp8Case control_case(std::optional<float> scale, std::uint64_t seed);

// All that can be done to a control_case.
std::vector<Fp8Sabotage> fp8_sabotages();

}  // namespace jit::test
