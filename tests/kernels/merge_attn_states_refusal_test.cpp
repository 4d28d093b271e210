// What the front end refuses before it asks for a kernel; tests/gpu holds the rest.
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <limits>
#include <string>

#include "jit/kernels/merge_attn_states.hpp"

namespace jit {
namespace {

constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();

kernels::MergeAttnStatesArgs shape(std::int64_t tokens, std::int64_t heads) {
  kernels::MergeAttnStatesArgs args;
  args.num_tokens = tokens;
  args.num_heads = heads;
  args.head_size = 128;
  return args;
}

std::string refusal_of(const kernels::MergeAttnStatesArgs& args) {
  RuntimeOptions options;
  options.memory_only = true;
  Runtime runtime(options);
  try {
    kernels::merge_attn_states(runtime, args, nullptr);
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kInvalidArgument);
    return error.what();
  }
  return "nothing was refused";
}

TEST_CASE("row counts of 2^31 or more are refused, however many heads there are") {
  for (const auto& [tokens, heads] :
       {std::pair{std::int64_t{1}, kHuge}, std::pair{kHuge, kHuge},
        std::pair{kHuge, std::int64_t{1}}, std::pair{std::int64_t{1}, std::int64_t{1} << 31},
        std::pair{std::int64_t{1} << 30, std::int64_t{2}},
        std::pair{std::int64_t{715'827'883}, std::int64_t{3}}}) {
    CAPTURE(tokens, heads);
    CHECK(refusal_of(shape(tokens, heads)).find("num_tokens * num_heads is") != std::string::npos);
  }
  CHECK(refusal_of(shape(0, kHuge)) == "nothing was refused");
  // One row less is taken: the null pointer is what is refused.
  CHECK(refusal_of(shape(715'827'882, 3)).find("prefix_output is null") != std::string::npos);
}

TEST_CASE("a refused stride is named as given and says what to do") {
  auto args = shape(1, 1);
  args.output_head_stride = (std::int64_t{1} << 32) + 128;
  CHECK(refusal_of(args) ==
        "launch merge_attn_states: output_head_stride is 4294967424; expected a multiple of 8 from "
        "head_size (128) to 2^28 - 1: give 0 for heads without padding, or pad each head to whole "
        "16 bytes");
}

}  // namespace
}  // namespace jit
