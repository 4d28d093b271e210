// Every way to be wrong that the checks of paged_mqa_logits are there to find.
#pragma once

#include <functional>
#include <vector>

#include "gpu/paged_mqa_case.hpp"

namespace jit::test {

// A case, its operands and what came out: all of it may be tampered with.
struct PagedMqaTrial {
  PagedMqaCase paged;
  PagedMqaInputs inputs;
  PagedMqaOutcome outcome;
};

struct PagedMqaSabotage {
  const char* name;
  std::function<void(PagedMqaTrial&)> apply;
};

// Some of them judge a right result by other operands: by the judge's eyes it is then the kernel
// that used a wrong weight, block or length.
const std::vector<PagedMqaSabotage>& paged_mqa_sabotages();

// Five requests of three tokens that all of them apply to: the first token of the second request
// sees 200 keys.
PagedMqaCase sabotage_case(DType type, bool clean, std::uint64_t seed);

}  // namespace jit::test
