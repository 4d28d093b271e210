// What the front end refuses before it asks for a kernel; tests/gpu holds the rest.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
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

// Pointers that are never used: what is refused is refused before.
kernels::MergeAttnStatesArgs grouped(std::int64_t tokens, std::int64_t heads, std::int64_t group) {
  static std::array<float, 16> memory{};
  alignas(16) static std::array<std::byte, 16> operand{};
  auto args = shape(tokens, heads);
  args.prefix_output = args.suffix_output = operand.data();
  args.prefix_lse = args.suffix_lse = memory.data();
  args.output = operand.data();
  args.output_group_scales = memory.data();
  args.output_group_size = group;
  return args;
}

TEST_CASE("scales of groups beside the scale of a tensor are refused") {
  float scale = 1.0F;
  auto args = grouped(4, 2, 128);
  args.output_scale = &scale;
  CHECK(refusal_of(args).find("are both given") != std::string::npos);
  args.output_group_scales = nullptr;
  CHECK(refusal_of(args).find("are both given") != std::string::npos);
  args.num_tokens = 0;
  CHECK(refusal_of(args).find("are both given") != std::string::npos);
}

TEST_CASE("half of what groups need is refused") {
  const std::string half = "output_group_size is 0 beside";
  CHECK(refusal_of(grouped(4, 2, 0)).find(half) != std::string::npos);
  auto args = shape(4, 2);
  args.use_ue8m0_scales = true;
  CHECK(refusal_of(args).find(half) != std::string::npos);
  args = shape(4, 2);
  args.output_scale_group_stride = 1;
  CHECK(refusal_of(args).find(half) != std::string::npos);
  args = grouped(4, 2, 64);
  args.output_group_scales = nullptr;
  CHECK(refusal_of(args).find("output_group_scales is null") != std::string::npos);
  // An empty tensor has no address.
  args.num_tokens = 0;
  CHECK(refusal_of(args) == "nothing was refused");
}

TEST_CASE("groups that are not 64 or 128 or do not divide a head are refused") {
  for (const std::int64_t group : {1, 32, 96, 256, -64}) {
    CAPTURE(group);
    CHECK(refusal_of(grouped(4, 2, group)).find("expected 64 or 128") != std::string::npos);
  }
  auto args = grouped(4, 2, 128);
  args.head_size = 192;
  CHECK(refusal_of(args) ==
        "launch merge_attn_states: head_size is 192; expected a multiple of output_group_size "
        "(128)");
}

TEST_CASE("scales and an FP8 output that are not aligned are refused") {
  auto args = grouped(4, 2, 128);
  args.output = static_cast<char*>(args.output) + 4;
  CHECK(refusal_of(args).find("output is at") != std::string::npos);
  args = grouped(4, 2, 128);
  args.output_group_scales =
      reinterpret_cast<float*>(reinterpret_cast<char*>(args.output_group_scales) + 2);
  CHECK(refusal_of(args).find("output_group_scales is at") != std::string::npos);
}

// By trying all pairs.
bool collide(std::int64_t tokens, std::int64_t groups, std::int64_t token_stride,
             std::int64_t group_stride) {
  std::set<std::int64_t> places;
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (std::int64_t i = 0; i < groups; ++i) {
      if (!places.insert(token * token_stride + i * group_stride).second) return true;
    }
  }
  return false;
}

TEST_CASE("exactly the strides that put two scales into one place are refused") {
  const auto is_refused = [](std::int64_t tokens, std::int64_t heads, std::int64_t token_stride,
                             std::int64_t group_stride) {
    auto args = grouped(tokens, heads, 128);
    args.output_scale_token_stride = token_stride;
    args.output_scale_group_stride = group_stride;
    args.prefix_output = nullptr;  // refused after strides: nothing gets as far as a kernel
    const std::string refusal = refusal_of(args);
    const bool taken = refusal.find("prefix_output is null") != std::string::npos;
    if (!taken && refusal.find("share a place") == std::string::npos) FAIL_CHECK(refusal);
    return !taken;
  };
  int wrong = 0;
  for (std::int64_t tokens = 1; tokens <= 5; ++tokens) {
    for (std::int64_t heads = 1; heads <= 5; ++heads) {
      for (std::int64_t number = 1; number < 81; ++number) {
        const std::int64_t token_stride = number % 9;
        const std::int64_t group_stride = number / 9;
        const bool expected = collide(tokens, heads, token_stride, group_stride);
        if (is_refused(tokens, heads, token_stride, group_stride) != expected) ++wrong;
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("negative and far scale strides are refused by name") {
  const auto refusal = [](std::int64_t token_stride, std::int64_t group_stride) {
    auto args = grouped(1024, 8, 128);
    args.output_scale_token_stride = token_stride;
    args.output_scale_group_stride = group_stride;
    return refusal_of(args);
  };
  CHECK(refusal(-8, 1).find("output_scale_token_stride is -8") != std::string::npos);
  CHECK(refusal(8, -1).find("output_scale_group_stride -1") != std::string::npos);
  CHECK(refusal(kHuge, 1).find("offsets below 2^59") != std::string::npos);
  CHECK(refusal(1, kHuge).find("offsets below 2^59") != std::string::npos);
  CHECK(refusal(kHuge, kHuge).find("offsets below 2^59") != std::string::npos);
}

}  // namespace
}  // namespace jit
