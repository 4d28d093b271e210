// The C front end of fp8_attention hands every operand on.
#include <catch2/catch_approx.hpp>
#include <cmath>
#include <cstring>

#include "attention_combine/params.h"
#include "c_abi/c_abi_fixture.hpp"
#include "fp8_attention/params.h"
#include "support/fake_tensor_map.hpp"

namespace jit {
namespace {

using cubinet::fp8_attention::Params;
using testing::CScene;
using testing::FakeTensorMap;
using testing::last_error_says;

template <class T = void>
T* at(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

constexpr std::uintptr_t kUnit = 0x1'0000'0000;

// What every call needs; all else has its default.
cubinet_fp8_attention_args least_args() {
  cubinet_fp8_attention_args args = cubinet_fp8_attention_args_init();
  args.num_sequences = 2;
  args.num_query_tokens = 300;
  args.num_heads = 16;
  args.q = at(1 * kUnit);
  args.k = at(2 * kUnit);
  args.v = at(3 * kUnit);
  args.cu_seqlens_q = at<std::int32_t>(4 * kUnit);
  args.output = at(5 * kUnit);
  return args;
}

// No two fields have the same value.
cubinet_fp8_attention_args some_args() {
  cubinet_fp8_attention_args args = least_args();
  args.num_sequences = 3;
  args.num_query_tokens = 500;
  args.num_key_tokens = 600;
  args.num_kv_heads = 4;
  args.head_dim = 192;
  args.head_dim_v = 128;
  args.max_query_tokens = 400;
  args.max_key_tokens = 450;
  args.cu_seqlens_k = at<std::int32_t>(6 * kUnit);
  args.seqused_q = at<std::int32_t>(7 * kUnit);
  args.seqused_k = at<std::int32_t>(8 * kUnit);
  args.q_descale = at<float>(9 * kUnit);
  args.k_descale = at<float>(10 * kUnit);
  args.v_descale = at<float>(11 * kUnit);
  args.sinks = at(12 * kUnit);
  args.lse = at<float>(13 * kUnit);
  args.output_scale = at<float>(14 * kUnit);
  args.work_counters = at<std::uint32_t>(15 * kUnit);
  args.q_token_stride = 3584;
  args.q_head_stride = 208;
  args.k_token_stride = 1152;
  args.k_head_stride = 256;
  args.v_token_stride = 1120;
  args.v_head_stride = 272;
  args.output_token_stride = 2400;
  args.output_head_stride = 144;
  args.q_descale_sequence_stride = 21;
  args.q_descale_head_stride = 1;
  args.k_descale_sequence_stride = 5;
  args.k_descale_head_stride = 23;
  args.v_descale_sequence_stride = 0;
  args.v_descale_head_stride = 3;
  args.has_window_left = args.has_window_right = 1;
  args.window_left = 70;
  args.window_right = 9;
  args.not_causal = 1;
  args.pack_gqa = 1;
  args.num_splits = 1;
  args.invariant = 1;
  args.num_workers = 60;
  args.softmax_scale = 0.25F;
  args.softcap = 15;
  return args;
}

template <class Struct>
Struct params_of(const testing::FakeLaunch& launch) {
  Struct params{};
  REQUIRE(launch.params.size() == sizeof params);
  std::memcpy(static_cast<void*>(&params), launch.params.data(), sizeof params);
  return params;
}

cubinet_status attend(CScene& scene, const cubinet_fp8_attention_args& args) {
  const cubinet_status status =
      cubinet_fp8_attention(scene.runtime(), &args, reinterpret_cast<cubinet_stream>(0x40));
  UNSCOPED_INFO(cubinet_last_error());
  return status;
}

// The parameters of the only launch since the last time.
Params attended(CScene& scene, const cubinet_fp8_attention_args& args) {
  const std::size_t before = scene.fake.launches().size();
  REQUIRE(attend(scene, args) == CUBINET_OK);
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == before + 1);
  return params_of<Params>(launches.back());
}

// Of a tensor map: where, and bytes from token to token and from head to head, and pages.
struct Heads {
  std::uint64_t address, tokens, token_stride, head_stride;
  std::uint64_t pages = 1, page_stride = 0;
  bool operator==(const Heads&) const = default;
};

Heads heads_of(const cubinet::TensorMap& bits) {
  const FakeTensorMap map = FakeTensorMap::read(&bits);
  Heads heads{map.address, map.sizes[1], map.strides[0], map.strides[2]};
  if (map.rank == 5) {
    heads.pages = map.sizes[4];
    heads.page_stride = map.strides[3];
  }
  return heads;
}

// Of queries: their map has packed heads before tokens.
Heads queries_of(const cubinet::TensorMap& bits) {
  const FakeTensorMap map = FakeTensorMap::read(&bits);
  return {map.address, map.sizes[2], map.strides[1], map.strides[3] / map.sizes[1]};
}

bool is(const cubinet::fp8_attention::Descale& descale, const float* data, std::int64_t sequence,
        std::int64_t head) {
  return descale.data == data && descale.sequence_stride == sequence && descale.head_stride == head;
}

void check_memory(const Params& params, const cubinet_fp8_attention_args& args) {
  CHECK(queries_of(params.q) == Heads{1 * kUnit, 500, 3584, 208});
  CHECK(heads_of(params.k) == Heads{2 * kUnit, 600, 1152, 256});
  CHECK(heads_of(params.v) == Heads{3 * kUnit, 600, 1120, 272});
  CHECK(params.cu_seqlens_q == args.cu_seqlens_q);
  CHECK(params.cu_seqlens_k == args.cu_seqlens_k);
  CHECK(params.seqused_q == args.seqused_q);
  CHECK(params.seqused_k == args.seqused_k);
  CHECK(is(params.q_descale, args.q_descale, 21, 1));
  CHECK(is(params.k_descale, args.k_descale, 5, 23));
  CHECK(is(params.v_descale, args.v_descale, 0, 3));
  CHECK(static_cast<const void*>(params.sinks) == args.sinks);
  CHECK(params.out == args.output);
  CHECK(params.lse == args.lse);
  CHECK(params.output_scale == args.output_scale);
  CHECK(params.work_counters == args.work_counters);
  CHECK(params.out_token_stride == 2400);
  CHECK(params.out_head_stride == 144);
}

// The symbol of the kernel with these constants.
std::string symbol_of(CScene& scene, const std::vector<cubinet_constant>& constants,
                      std::int64_t max_query_rows) {
  const cubinet_size rows{"max_query_rows", max_query_rows};
  cubinet_request request = cubinet_request_init();
  request.name = "fp8_attention";
  request.constants = constants.data();
  request.constant_count = constants.size();
  request.sizes = &rows;
  request.size_count = 1;
  const cubinet_kernel* kernel = nullptr;
  cubinet_kernel_info info = cubinet_kernel_info_init();
  REQUIRE(cubinet_get_kernel(scene.runtime(), &request, &kernel) == CUBINET_OK);
  REQUIRE(cubinet_kernel_describe(kernel, &info) == CUBINET_OK);
  return info.symbol;
}

TEST_CASE("FP8 attention through C launches with every operand it was given") {
  CScene scene;
  const auto args = some_args();
  const Params params = attended(scene, args);
  check_memory(params, args);
  CHECK(params.num_sequences == 3);
  CHECK(params.num_heads == 16);
  CHECK(params.heads_per_kv == 4);
  CHECK(params.window_left == 70);
  CHECK(params.window_right == 9);
  CHECK(params.softmax_scale_log2 == Catch::Approx(15 * 1.44269504));
  CHECK(params.softcap_factor == Catch::Approx(0.25 / 15));
  const auto launch = scene.fake.launches().back();
  CHECK(launch.grid.x == 60);
  CHECK(launch.stream == reinterpret_cast<Stream>(0x40));
  CHECK(launch.programmatic);
  const std::vector<cubinet_constant> constants{
      cubinet_int("kHeadDim", 192),         cubinet_int("kHeadDimV", 128),
      cubinet_bool("CAUSAL", false),        cubinet_bool("WINDOW", true),
      cubinet_bool("SOFTCAP", true),        cubinet_bool("SINKS", true),
      cubinet_bool("USE_FP8_OUTPUT", true), cubinet_bool("kInvariant", true)};
  CHECK(launch.symbol == symbol_of(scene, constants, 400));
}

TEST_CASE("a zero field of FP8 attention through C is its default") {
  CScene scene;
  const auto args = least_args();
  const Params params = attended(scene, args);
  CHECK(queries_of(params.q) == Heads{1 * kUnit, 300, 16 * 128, 128});
  CHECK(heads_of(params.k) == Heads{2 * kUnit, 300, 16 * 128, 128});
  CHECK(heads_of(params.v) == Heads{3 * kUnit, 300, 16 * 128, 128});
  CHECK(params.cu_seqlens_k == args.cu_seqlens_q);
  CHECK(params.lse == nullptr);
  CHECK(params.work_counters == nullptr);
  CHECK(params.q_descale.data == nullptr);
  CHECK(params.softmax_scale_log2 == Catch::Approx(1.44269504 / std::sqrt(128.0)));
  CHECK(params.heads_per_kv == 1);
  CHECK(params.num_splits == 1);
  const auto launch = scene.fake.launches().back();
  CHECK(launch.programmatic);
  CHECK(launch.symbol == symbol_of(scene, {}, 300));
}

TEST_CASE("keys in pages, in parts and packed heads go through C") {
  CScene scene;
  auto args = least_args();
  args.num_query_tokens = args.num_sequences = 100;
  args.num_kv_heads = 2;
  args.max_query_tokens = 1;
  args.page_table = at<std::int32_t>(6 * kUnit);
  args.seqused_k = at<std::int32_t>(7 * kUnit);
  args.max_pages = 30;
  args.num_pages = 100;
  args.page_size = 48;
  args.page_table_stride = 33;
  args.k_page_stride = 32768;
  args.v_page_stride = 36864;
  args.accum_interval = CUBINET_ACCUM_AT_THE_END;
  args.pack_gqa = 4;
  args.in_order = 1;
  args.num_splits = 3;
  REQUIRE(cubinet_fp8_attention_workspace_bytes(nullptr, &args, 132, &args.workspace_bytes) ==
          CUBINET_OK);
  // The parts in fp32 and their LSEs, at least.
  CHECK(args.workspace_bytes >= 3 * 100 * 16 * (128 + 1) * 4);
  args.workspace = at(16 * kUnit);
  REQUIRE(attend(scene, args) == CUBINET_OK);
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == 2);
  const auto params = params_of<Params>(launches[0]);
  CHECK(heads_of(params.k) == Heads{2 * kUnit, 48, 256, 128, 100, 32768});
  CHECK(heads_of(params.v) == Heads{3 * kUnit, 48, 256, 128, 100, 36864});
  CHECK(params.page_table == args.page_table);
  CHECK(params.page_table_stride == 33);
  CHECK(params.page_size == 48);
  CHECK(params.seqused_k == args.seqused_k);
  CHECK(params.num_splits == 3);
  CHECK(params.split_tiles > 1);  // of what max_pages may hold
  const auto out = reinterpret_cast<std::uintptr_t>(params.out);
  CHECK(out >= 16 * kUnit);
  CHECK(out < 16 * kUnit + static_cast<std::uintptr_t>(args.workspace_bytes));
  CHECK_FALSE(launches[0].programmatic);
  const std::vector<cubinet_constant> constants{
      cubinet_int("kAccumInterval", 0), cubinet_int("kPackGqa", 4), cubinet_int("kPageRows", 16),
      cubinet_bool("SPLIT", true), cubinet_bool("PROGRAMMATIC_DEPENDENT_LAUNCH", false)};
  CHECK(launches[0].symbol == symbol_of(scene, constants, 4));
  const auto combine = params_of<cubinet::attention_combine::Params>(launches[1]);
  CHECK(combine.num_parts == 3);
  CHECK(combine.out == args.output);
}

TEST_CASE("the workspace of FP8 attention through C is that of a GPU or of the current one") {
  CScene scene({testing::FakeDevice{.sm_count = 20}});
  const auto bytes_for = [&](const cubinet_fp8_attention_args& args, std::int64_t count,
                             bool with_runtime) {
    std::int64_t bytes = -1;
    const cubinet_status status = cubinet_fp8_attention_workspace_bytes(
        with_runtime ? scene.runtime() : nullptr, &args, count, &bytes);
    return status == CUBINET_OK ? bytes : -status;
  };
  auto args = least_args();
  args.num_query_tokens = args.num_sequences = 1;
  args.num_heads = 1;
  args.num_key_tokens = 100'000;
  args.cu_seqlens_k = at<std::int32_t>(6 * kUnit);
  CHECK(bytes_for(args, 0, true) == bytes_for(args, 20, false));
  CHECK(bytes_for(args, 20, false) > 0);
  CHECK(bytes_for(args, 100, false) > bytes_for(args, 20, false));
  CHECK(bytes_for(args, 0, false) == -CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("runtime is NULL"));
  args.max_key_tokens = 500;
  CHECK(bytes_for(args, 100, false) == 0);
  args.max_key_tokens = 0;
  args.num_splits = 1;
  CHECK(bytes_for(args, 100, false) == 0);
  args.head_dim = 80;
  CHECK(bytes_for(args, 100, false) == -CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("head_dim is 80"));
  CHECK(cubinet_fp8_attention_workspace_bytes(nullptr, nullptr, 1, nullptr) ==
        CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("bytes is NULL"));
}

TEST_CASE("FP8 attention through C is refused in the front end's words") {
  CScene scene;
  const auto refused = [&](const auto& change) {
    auto args = some_args();
    change(args);
    return attend(scene, args) == CUBINET_INVALID_ARGUMENT;
  };
  CHECK(refused([](auto& args) { args.num_kv_heads = 3; }));
  CHECK(last_error_says(
      "launch fp8_attention: num_heads is 16; expected a multiple of num_kv_heads (3)"));
  CHECK(refused([](auto& args) { args.head_dim_v = 64; }));
  CHECK(last_error_says("launch fp8_attention: head_dim_v is 64"));
  CHECK(refused([](auto& args) { args.accum_interval = -2; }));
  CHECK(last_error_says("accum_interval is -2; expected 1 key tile or more, 0 for 1"));
  for (std::int32_t cubinet_fp8_attention_args::*flag :
       {&cubinet_fp8_attention_args::not_causal, &cubinet_fp8_attention_args::has_window_left,
        &cubinet_fp8_attention_args::has_window_right, &cubinet_fp8_attention_args::invariant,
        &cubinet_fp8_attention_args::in_order}) {
    CHECK(refused([flag](auto& args) { args.*flag = 2; }));
    CHECK(last_error_says(" is 2; expected 0 to 1"));
  }
  CHECK(refused([](auto& args) { args.has_window_left = 0; }));
  CHECK(last_error_says(
      "read cubinet_fp8_attention_args: has_window_left is 0, but the window is 70; set it to 1"));
  CHECK(refused([](auto& args) { args.has_window_right = 0; }));
  CHECK(refused([](auto& args) { args.reserved = 1; }));
  CHECK(cubinet_fp8_attention(scene.runtime(), nullptr, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("call cubinet_fp8_attention: args is NULL"));
  const auto args = some_args();
  CHECK(cubinet_fp8_attention(nullptr, &args, nullptr) == CUBINET_INVALID_ARGUMENT);
  auto nothing = some_args();
  nothing.num_query_tokens = 0;
  CHECK(attend(scene, nothing) == CUBINET_OK);
  CHECK(scene.fake.launches().empty());
}

}  // namespace
}  // namespace jit
