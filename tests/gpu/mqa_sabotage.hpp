// Every way to be wrong that the checks of mqa_logits are there to find.
#pragma once

#include <functional>
#include <vector>

#include "gpu/mqa_case.hpp"

namespace jit::test {

// A case, its operands and what came out: all of it may be tampered with.
struct MqaTrial {
  MqaCase mqa;
  MqaInputs inputs;
  MqaOutcome outcome;
};

struct MqaSabotage {
  const char* name;
  std::function<void(MqaTrial&)> apply;
};

const std::vector<MqaSabotage>& mqa_sabotages();

// Six rows that all of them apply to; the third sees keys 40 to 239 of 300, not compressed.
MqaCase mqa_sabotage_case(DType type, bool clean, std::uint64_t seed);

}  // namespace jit::test
