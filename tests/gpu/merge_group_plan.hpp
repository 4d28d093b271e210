// The plan of the calls with a scale per group of a token.
#pragma once

#include <cstdint>
#include <vector>

#include "gpu/merge_case.hpp"

namespace jit::test {

// The public grid of this feature in full, context = n / 2: 3 layouts x power-of-two scales or not
// x groups of 64 and 128 x head size 128 x 16, 64, 128 heads x 16, 128, 257, 512 tokens x fp16 and
// bf16. 288 calls.
std::vector<MergeCase> public_group_cases(std::uint64_t seed);

// Every kernel that these factors give in some calls each: input types, head sizes 64 to 1024,
// groups that divide them, kinds of scale, LSE output or not, both buckets of the token count.
// Every pattern of operands occurs for each of them; the rest of what may vary between calls
// (tokens, heads, context, layout, strides, alignment) is drawn. The same seed gives the same plan.
std::vector<MergeCase> varied_group_cases(std::uint64_t seed);

// Both.
std::vector<MergeCase> plan_group_cases(std::uint64_t seed);

}  // namespace jit::test
