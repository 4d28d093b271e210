// The C front end of merge_attn_states hands every operand on.
#include <cstring>

#include "c_abi/c_abi_fixture.hpp"
#include "merge_attn_states/params.h"

namespace jit {
namespace {

using testing::CScene;
using testing::last_error_says;

cubinet_merge_attn_states_args some_args() {
  const auto at = [](std::uintptr_t address) { return reinterpret_cast<float*>(address); };
  cubinet_merge_attn_states_args args = cubinet_merge_attn_states_args_init();
  args.num_tokens = 5;
  args.num_heads = 3;
  args.head_size = 128;
  args.input_type = CUBINET_F16;
  args.prefix_output = at(0x1000);
  args.suffix_output = at(0x2000);
  args.prefix_lse = at(0x3000);
  args.suffix_lse = at(0x4000);
  args.output = at(0x5000);
  args.output_lse = at(0x6000);
  args.output_scale = at(0x7000);
  args.input_head_stride = 192;
  args.output_head_stride = 256;
  args.has_num_context_tokens = 1;
  args.num_context_tokens = 2;
  args.programmatic_dependent = 1;
  return args;
}

cubinet::merge_attn_states::Params launched(CScene& scene) {
  cubinet::merge_attn_states::Params params{};
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == 1);
  REQUIRE(launches[0].params.size() == sizeof params);
  CHECK(launches[0].programmatic);
  CHECK(launches[0].stream == reinterpret_cast<Stream>(0x40));
  std::memcpy(&params, launches[0].params.data(), sizeof params);
  return params;
}

TEST_CASE("a merge through C launches with every operand it was given") {
  CScene scene;
  const cubinet_merge_attn_states_args args = some_args();
  CAPTURE(cubinet_last_error());
  REQUIRE(cubinet_merge_attn_states(scene.runtime(), &args,
                                    reinterpret_cast<cubinet_stream>(0x40)) == CUBINET_OK);
  const auto params = launched(scene);
  CHECK(params.prefix_output == args.prefix_output);
  CHECK(params.suffix_output == args.suffix_output);
  CHECK(params.prefix_lse == args.prefix_lse);
  CHECK(params.suffix_lse == args.suffix_lse);
  CHECK(params.output == args.output);
  CHECK(params.output_lse == args.output_lse);
  CHECK(params.output_scale == args.output_scale);
  CHECK(params.num_tokens == 5);
  CHECK(params.num_context_tokens == 2);
  CHECK(params.input_head_stride == 192);
  CHECK(params.output_head_stride == 256);
  CHECK(params.num_heads.divisor == 3);
}

TEST_CASE("a merge with scales of groups through C hands those on") {
  CScene scene;
  cubinet_merge_attn_states_args args = some_args();
  args.output_scale = nullptr;
  args.output_group_scales = reinterpret_cast<float*>(0x8000);
  args.output_group_size = 64;
  args.output_scale_token_stride = 1;
  args.output_scale_group_stride = 8;
  args.use_ue8m0_scales = 1;
  CAPTURE(cubinet_last_error());
  REQUIRE(cubinet_merge_attn_states(scene.runtime(), &args,
                                    reinterpret_cast<cubinet_stream>(0x40)) == CUBINET_OK);
  const auto params = launched(scene);
  CHECK(params.output_group_scales == args.output_group_scales);
  CHECK(params.output_scale_token_stride == 1);
  CHECK(params.output_scale_group_stride == 8);
  args.use_ue8m0_scales = 2;
  CHECK(cubinet_merge_attn_states(scene.runtime(), &args, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("use_ue8m0_scales is 2"));
}

TEST_CASE("a merge through C is refused in the front end's words") {
  CScene scene;
  cubinet_merge_attn_states_args args = some_args();
  args.input_type = 0;
  CHECK(cubinet_merge_attn_states(scene.runtime(), &args, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("input_type is 0; expected a cubinet_dtype"));
  args = some_args();
  args.prefix_lse = nullptr;
  CHECK(cubinet_merge_attn_states(scene.runtime(), &args, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("launch merge_attn_states: prefix_lse is null"));
  args = cubinet_merge_attn_states_args_init();
  args.input_type = CUBINET_BF16;
  args.head_size = 128;
  CHECK(cubinet_merge_attn_states(scene.runtime(), &args, nullptr) == CUBINET_OK);  // n = 0
  CHECK(scene.fake.launches().empty());
}

}  // namespace
}  // namespace jit
