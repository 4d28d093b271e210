// The C front ends of mla_prefill and of its chain with context hand every operand on.
#include "mla_prefill/params.h"

#include <catch2/catch_approx.hpp>
#include <cmath>
#include <cstring>

#include "c_abi/c_abi_fixture.hpp"
#include "merge_attn_states/params.h"
#include "support/fake_tensor_map.hpp"

namespace jit {
namespace {

using cubinet::mla_prefill::Params;
using testing::CScene;
using testing::FakeTensorMap;
using testing::last_error_says;

template <class T = void>
T* at(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

// No two fields have the same value.
cubinet_mla_prefill_args some_args() {
  cubinet_mla_prefill_args args = cubinet_mla_prefill_args_init();
  args.num_sequences = 3;
  args.num_query_tokens = 500;
  args.num_key_tokens = 600;
  args.num_heads = 16;
  args.num_kv_heads = 4;
  args.q = at(0x1'0000'0000);
  args.k = at(0x2'0000'0000);
  args.v = at(0x3'0000'0000);
  args.k_rope = at(0x4'0000'0000);
  args.cu_seqlens_q = at<std::int32_t>(0x5'0000'0000);
  args.cu_seqlens_k = at<std::int32_t>(0x6'0000'0000);
  args.output = at(0x7'0000'0000);
  args.lse = at<float>(0x8'0000'0000);
  args.output_scale = at<float>(0x9'0000'0000);
  args.work_counters = at<std::uint32_t>(0xB'0000'0000);
  args.q_token_stride = 3584;
  args.q_head_stride = 208;
  args.k_token_stride = 1152;
  args.k_head_stride = 256;
  args.v_token_stride = 1096;
  args.v_head_stride = 264;
  args.k_rope_token_stride = 576;
  args.output_token_stride = 2400;
  args.output_head_stride = 144;
  args.num_workers = 60;
  args.softmax_scale = 0.25F;
  return args;
}

Params params_of(const testing::FakeLaunch& launch) {
  Params params{};
  REQUIRE(launch.params.size() == sizeof params);
  std::memcpy(static_cast<void*>(&params), launch.params.data(), sizeof params);
  return params;
}

testing::FakeLaunch last_launch(CScene& scene) {
  const auto launches = scene.fake.launches();
  REQUIRE_FALSE(launches.empty());
  return launches.back();
}

cubinet_status attend(CScene& scene, const cubinet_mla_prefill_args& args) {
  const cubinet_status status =
      cubinet_mla_prefill(scene.runtime(), &args, reinterpret_cast<cubinet_stream>(0x40));
  UNSCOPED_INFO(cubinet_last_error());
  return status;
}

// Units: elements.
void check_heads(const cubinet::TensorMap& bits, std::uint64_t address, std::uint64_t tokens,
                 std::uint64_t token_stride, std::uint64_t head_stride) {
  const FakeTensorMap map = FakeTensorMap::read(&bits);
  CAPTURE(address);
  CHECK(map.address == address);
  CHECK(map.rank == 4);
  CHECK(map.sizes[1] == tokens);
  CHECK(map.strides[0] == token_stride * 2);
  CHECK(map.strides[2] == head_stride * 2);
}

TEST_CASE("attention through C launches with every operand it was given") {
  CScene scene;
  const auto args = some_args();
  REQUIRE(attend(scene, args) == CUBINET_OK);
  const auto launch = last_launch(scene);
  const Params params = params_of(launch);
  check_heads(params.q, 0x1'0000'0000, 500, 3584, 208);
  check_heads(params.k, 0x2'0000'0000, 600, 1152, 256);
  check_heads(params.v, 0x3'0000'0000, 600, 1096, 264);
  const FakeTensorMap rope = FakeTensorMap::read(&params.k_rope);
  CHECK(rope.address == 0x4'0000'0000);
  CHECK(rope.sizes[1] == 600);
  CHECK(rope.strides[0] == 576 * 2);
  CHECK(params.cu_seqlens_q == args.cu_seqlens_q);
  CHECK(params.cu_seqlens_k == args.cu_seqlens_k);
  CHECK(params.out == args.output);
  CHECK(params.lse == args.lse);
  CHECK(params.output_scale == args.output_scale);
  CHECK(params.work_counters == args.work_counters);
  CHECK(params.out_token_stride == 2400);
  CHECK(params.out_head_stride == 144);
  CHECK(params.softmax_scale_log2 == 0.25F * 1.44269504F);
  CHECK(params.num_sequences == 3);
  CHECK(params.num_heads == 16);
  CHECK(params.heads_per_kv == 4);
  CHECK(launch.grid.x == 60);
  CHECK(launch.stream == reinterpret_cast<Stream>(0x40));
  CHECK(launch.programmatic);
}

TEST_CASE("a zero field of attention through C is its default") {
  CScene scene;
  cubinet_mla_prefill_args args = cubinet_mla_prefill_args_init();
  args.num_sequences = 2;
  args.num_query_tokens = 300;
  args.num_heads = 16;
  args.q = at(0x1'0000'0000);
  args.k = at(0x2'0000'0000);
  args.v = at(0x3'0000'0000);
  args.cu_seqlens_q = at<std::int32_t>(0x5'0000'0000);
  args.output = at(0x7'0000'0000);
  REQUIRE(attend(scene, args) == CUBINET_OK);
  const auto launch = last_launch(scene);
  const Params params = params_of(launch);
  check_heads(params.q, 0x1'0000'0000, 300, std::uint64_t{16} * 192, 192);
  check_heads(params.k, 0x2'0000'0000, 300, std::uint64_t{16} * 192, 192);
  check_heads(params.v, 0x3'0000'0000, 300, std::uint64_t{16} * 128, 128);
  CHECK(params.cu_seqlens_k == args.cu_seqlens_q);
  CHECK(params.lse == nullptr);
  CHECK(params.work_counters == nullptr);
  CHECK(params.softmax_scale_log2 == Catch::Approx(1.44269504 / std::sqrt(192.0)));
  CHECK(params.heads_per_kv == 1);
  CHECK(launch.programmatic);
}

// The symbol of the kernel with these constants, for the rows of some_args.
std::string symbol_of(CScene& scene, const std::vector<cubinet_constant>& constants) {
  const cubinet_size rows{"num_query_rows", 500 * 16};
  cubinet_request request = cubinet_request_init();
  request.name = "mla_prefill";
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

TEST_CASE("every constant of attention goes through C") {
  CScene scene;
  auto args = some_args();
  args.head_dim = args.head_dim_v = 128;
  args.output_scale = nullptr;
  args.output_type = CUBINET_F16;
  args.not_causal = 1;
  args.in_order = 1;
  REQUIRE(attend(scene, args) == CUBINET_OK);
  CHECK_FALSE(last_launch(scene).programmatic);
  std::vector<cubinet_constant> constants{cubinet_int("kHeadDim", 128), cubinet_int("kRopeDim", 64),
                                          cubinet_bool("CAUSAL", false),
                                          cubinet_bool("PROGRAMMATIC_DEPENDENT_LAUNCH", false)};
  constants.push_back(cubinet_type("OUTPUT_TYPE", CUBINET_F16));
  CHECK(last_launch(scene).symbol == symbol_of(scene, constants));
  args.output_group_scales = at<float>(0xA'0000'0000);
  args.output_group_size = 64;
  args.output_scale_token_stride = 1;
  args.output_scale_group_stride = 1024;
  args.use_ue8m0_scales = 1;
  REQUIRE(attend(scene, args) == CUBINET_OK);
  constants.back() = cubinet_bool("USE_FP8_OUTPUT", true);
  constants.push_back(cubinet_int("FP8_GROUP_SIZE", 64));
  constants.push_back(cubinet_bool("USE_UE8M0_SCALES", true));
  CHECK(last_launch(scene).symbol == symbol_of(scene, constants));
  const Params params = params_of(last_launch(scene));
  CHECK(params.group_scales == args.output_group_scales);
  CHECK(params.scale_token_stride == 1);
  CHECK(params.scale_group_stride == 1024);
  CHECK(params.output_scale == nullptr);
}

TEST_CASE("attention through C is refused in the front end's words") {
  CScene scene;
  const auto refused = [&](const cubinet_mla_prefill_args& args) {
    return attend(scene, args) == CUBINET_INVALID_ARGUMENT;
  };
  auto args = some_args();
  args.num_kv_heads = 3;
  CHECK(refused(args));
  CHECK(last_error_says(
      "launch mla_prefill: num_heads is 16; expected a multiple of num_kv_heads (3)"));
  args = some_args();
  args.head_dim_v = 64;
  CHECK(refused(args));
  CHECK(last_error_says("launch mla_prefill: head_dim"));
  for (std::int32_t cubinet_mla_prefill_args::*flag :
       {&cubinet_mla_prefill_args::not_causal, &cubinet_mla_prefill_args::use_ue8m0_scales,
        &cubinet_mla_prefill_args::in_order}) {
    args = some_args();
    args.*flag = 2;
    CHECK(refused(args));
    CHECK(last_error_says(" is 2; expected 0 to 1"));
  }
  args = some_args();
  args.output_type = 99;
  CHECK(refused(args));
  CHECK(last_error_says("output_type is 99"));
  args = some_args();
  args.reserved = 1;
  CHECK(refused(args));
  CHECK(cubinet_mla_prefill(scene.runtime(), nullptr, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("call cubinet_mla_prefill: args is NULL"));
  args = some_args();
  args.num_query_tokens = 0;
  CHECK(attend(scene, args) == CUBINET_OK);
  CHECK(scene.fake.launches().empty());
}

// ---- Context ----

cubinet_mla_prefill_args new_tokens() {
  cubinet_mla_prefill_args args = some_args();
  args.output_token_stride = args.num_heads * args.output_head_stride;
  return args;
}

std::vector<cubinet_mla_context_chunk> some_chunks() {
  std::vector<cubinet_mla_context_chunk> chunks(2);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const std::uintptr_t base = 0x10'0000'0000 * (i + 1);
    const auto pad = static_cast<std::int64_t>(8 * i);
    chunks[i].num_key_tokens = static_cast<std::int64_t>(700 + i);
    chunks[i].k = at(base + 0x1'0000'0000);
    chunks[i].v = at(base + 0x2'0000'0000);
    chunks[i].k_rope = at(base + 0x3'0000'0000);
    chunks[i].cu_seqlens_k = at<std::int32_t>(base + 0x4'0000'0000);
    chunks[i].k_token_stride = 768 + pad;
    chunks[i].k_head_stride = 136 + pad;
    chunks[i].v_token_stride = 640 + pad;
    chunks[i].v_head_stride = 152 + pad;
    chunks[i].k_rope_token_stride = 80 + pad;
  }
  return chunks;
}

cubinet_status attend_with(CScene& scene, const cubinet_mla_prefill_args& args,
                           const std::vector<cubinet_mla_context_chunk>& chunks, void* workspace) {
  const cubinet_status status = cubinet_mla_prefill_with_context(
      scene.runtime(), &args, chunks.empty() ? nullptr : chunks.data(), chunks.size(), workspace,
      reinterpret_cast<cubinet_stream>(0x40));
  UNSCOPED_INFO(cubinet_last_error());
  return status;
}

// Every launch of attention whose keys are the chunk's.
void check_chunk(const std::vector<testing::FakeLaunch>& launches,
                 const cubinet_mla_context_chunk& chunk) {
  std::size_t found = 0;
  for (const auto& launch : launches) {
    if (launch.symbol.find("mla_prefill__") != 0) continue;
    const Params params = params_of(launch);
    if (FakeTensorMap::read(&params.k).address != reinterpret_cast<std::uintptr_t>(chunk.k))
      continue;
    ++found;
    const auto tokens = static_cast<std::uint64_t>(chunk.num_key_tokens);
    const auto unsigned_of = [](std::int64_t stride) { return static_cast<std::uint64_t>(stride); };
    check_heads(params.k, reinterpret_cast<std::uintptr_t>(chunk.k), tokens,
                unsigned_of(chunk.k_token_stride), unsigned_of(chunk.k_head_stride));
    check_heads(params.v, reinterpret_cast<std::uintptr_t>(chunk.v), tokens,
                unsigned_of(chunk.v_token_stride), unsigned_of(chunk.v_head_stride));
    const FakeTensorMap rope = FakeTensorMap::read(&params.k_rope);
    CHECK(rope.address == reinterpret_cast<std::uintptr_t>(chunk.k_rope));
    CHECK(rope.strides[0] == unsigned_of(chunk.k_rope_token_stride) * 2);
    CHECK(params.cu_seqlens_k == chunk.cu_seqlens_k);
  }
  CHECK(found == 1);
}

TEST_CASE("a chain with context through C launches with every chunk it was given") {
  CScene scene;
  const auto args = new_tokens();
  const auto chunks = some_chunks();
  std::int64_t bytes = 0;
  REQUIRE(cubinet_mla_prefill_workspace_bytes(&args, chunks.size(), &bytes) == CUBINET_OK);
  // A part of fp32, because the output is FP8, and its LSE, at least.
  CHECK(bytes >= args.num_query_tokens * args.num_heads * (128 + 1) * 4);
  constexpr std::uintptr_t kWorkspace = 0x50'0000'0000;
  REQUIRE(attend_with(scene, args, chunks, at(kWorkspace)) == CUBINET_OK);
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == 5);
  for (const auto& chunk : chunks) check_chunk(launches, chunk);
  for (const auto& launch : launches) {
    CHECK(launch.stream == reinterpret_cast<Stream>(0x40));
    if (launch.symbol.find("mla_prefill__") != 0) continue;
    const auto part = reinterpret_cast<std::uintptr_t>(params_of(launch).out);
    CHECK(part >= kWorkspace);
    CHECK(part < kWorkspace + static_cast<std::uintptr_t>(bytes));
  }
  cubinet::merge_attn_states::Params last{};
  REQUIRE(launches.back().params.size() == sizeof last);
  std::memcpy(&last, launches.back().params.data(), sizeof last);
  CHECK(last.output == args.output);
  CHECK(last.output_lse == args.lse);
  CHECK(last.output_scale == args.output_scale);
}

TEST_CASE("a chain without chunks through C is one launch and needs no workspace") {
  CScene scene;
  const auto args = new_tokens();
  std::int64_t bytes = 1;
  REQUIRE(cubinet_mla_prefill_workspace_bytes(&args, 0, &bytes) == CUBINET_OK);
  CHECK(bytes == 0);
  REQUIRE(attend_with(scene, args, {}, nullptr) == CUBINET_OK);
  REQUIRE(scene.fake.launches().size() == 1);
  CHECK(params_of(scene.fake.launches()[0]).out == args.output);
}

TEST_CASE("a chain with context through C is refused in the front end's words") {
  CScene scene;
  const auto args = new_tokens();
  auto chunks = some_chunks();
  const auto refused = [&](const cubinet_mla_prefill_args* given,
                           const cubinet_mla_context_chunk* first) {
    return cubinet_mla_prefill_with_context(scene.runtime(), given, first, chunks.size(),
                                            at(0x50'0000'0000),
                                            nullptr) == CUBINET_INVALID_ARGUMENT;
  };
  CHECK(refused(&args, nullptr));
  CHECK(last_error_says("call cubinet_mla_prefill_with_context: chunks is NULL"));
  CHECK(refused(nullptr, chunks.data()));
  CHECK(last_error_says("args is NULL"));
  chunks[1].v = nullptr;
  CHECK(refused(&args, chunks.data()));
  CHECK(last_error_says("launch mla_prefill_with_context: chunks[1]: v is null"));
  std::int64_t bytes = 0;
  CHECK(cubinet_mla_prefill_workspace_bytes(nullptr, 1, &bytes) == CUBINET_INVALID_ARGUMENT);
  CHECK(cubinet_mla_prefill_workspace_bytes(&args, 1, nullptr) == CUBINET_INVALID_ARGUMENT);
  CHECK(last_error_says("bytes is NULL"));
  CHECK(scene.fake.launches().empty());
}

}  // namespace
}  // namespace jit
