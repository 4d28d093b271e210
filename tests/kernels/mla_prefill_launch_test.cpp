// What mla_prefill launches: every operand handed on, the tensor maps, the geometry.
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <numbers>

#include "attention_shared/tile.h"
#include "jit/kernels/mla_prefill.hpp"
#include "kernels/mla_prefill_args.hpp"
#include "mla_prefill/params.h"

namespace jit {
namespace {

using cubinet::mla_prefill::Params;
using testing::FakeTensorMap;
using testing::mla_args;
using testing::MlaFrontEnd;
using testing::somewhere;

std::vector<std::uint64_t> sizes_of(const FakeTensorMap& map) {
  return {map.sizes, map.sizes + map.rank};
}
std::vector<std::uint64_t> strides_of(const FakeTensorMap& map) {
  return {map.strides, map.strides + map.rank - 1};
}
std::vector<std::uint16_t> box_of(const FakeTensorMap& map) {
  return {map.box, map.box + map.rank};
}
using Words = std::vector<std::uint64_t>;
using Box = std::vector<std::uint16_t>;

std::uint16_t constant_of(MlaFrontEnd& front, const char* name) {
  const Constant causal[] = {{"CAUSAL", true}};
  return static_cast<std::uint16_t>(front.kernel(causal).constant(name).as_int());
}

TEST_CASE("mla_prefill hands on every operand and fills in what was left out") {
  MlaFrontEnd front;
  const auto args = mla_args();
  kernels::mla_prefill(*front.runtime, args, reinterpret_cast<Stream>(0x40));
  const auto params = front.last_params<Params>();
  CHECK(params.cu_seqlens_q == args.cu_seqlens_q);
  CHECK(params.cu_seqlens_k == args.cu_seqlens_k);
  CHECK(params.out == args.output);
  CHECK(params.lse == args.lse);
  CHECK(params.output_scale == nullptr);
  CHECK(params.group_scales == nullptr);
  CHECK(params.work_counters == nullptr);
  CHECK(params.out_token_stride == 16 * 128);
  CHECK(params.out_head_stride == 128);
  CHECK(params.lse_head_stride == 1000);
  CHECK(params.num_sequences == 3);
  CHECK(params.num_heads == 16);
  CHECK(params.heads_per_kv == 1);
  const double scale = static_cast<float>(1 / std::sqrt(192.0));
  CHECK(params.softmax_scale_log2 == static_cast<float>(scale * std::numbers::log2e));
  const auto launch = front.scene.fake.launches().back();
  CHECK(launch.stream == reinterpret_cast<Stream>(0x40));
  CHECK(launch.programmatic);
}

TEST_CASE("the tensor maps of mla_prefill are of heads in pieces of 64 elements") {
  MlaFrontEnd front;
  kernels::mla_prefill(*front.runtime, mla_args(), nullptr);
  const auto params = front.last_params<Params>();
  const auto rows = static_cast<std::uint16_t>((constant_of(front, "kNumThreads") - 128) / 2);
  const auto keys = constant_of(front, "kBlockN");
  const auto q = FakeTensorMap::read(&params.q);
  CHECK(q.address == 0x1'0000'0000);
  CHECK(q.type == 9);  // CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
  CHECK(q.swizzle == 3);
  CHECK(sizes_of(q) == Words{64, 1000, 3, 16});
  CHECK(strides_of(q) == Words{16 * 192 * 2, 128, 192 * 2});
  CHECK(box_of(q) == Box{64, rows, 3, 1});
  const auto k = FakeTensorMap::read(&params.k);
  CHECK(k.address == 0x2'0000'0000);
  CHECK(k.swizzle == 3);
  CHECK(sizes_of(k) == Words{64, 2000, 3, 16});
  CHECK(strides_of(k) == Words{16 * 192 * 2, 128, 192 * 2});
  CHECK(box_of(k) == Box{64, keys, 3, 1});
  const auto v = FakeTensorMap::read(&params.v);
  CHECK(v.address == 0x3'0000'0000);
  CHECK(v.swizzle == 3);
  CHECK(sizes_of(v) == Words{64, 2000, 2, 16});
  CHECK(strides_of(v) == Words{16 * 128 * 2, 128, 128 * 2});
  CHECK(box_of(v) == Box{64, keys, 2, 1});
}

TEST_CASE("the rope part of mla_prefill's keys has a map of its own, for all heads") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.k_rope = somewhere(0x9'0000'0000);
  args.k_rope_token_stride = 576;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  const auto rope = FakeTensorMap::read(&params.k_rope);
  CHECK(rope.address == 0x9'0000'0000);
  CHECK(rope.type == 9);
  CHECK(rope.swizzle == 3);
  CHECK(sizes_of(rope) == Words{64, 2000});
  CHECK(strides_of(rope) == Words{576 * 2});
  CHECK(box_of(rope) == Box{64, constant_of(front, "kBlockN")});
  const auto k = FakeTensorMap::read(&params.k);
  CHECK(sizes_of(k) == Words{64, 2000, 2, 16});
  CHECK(strides_of(k) == Words{16 * 128 * 2, 128, 128 * 2});
  CHECK(box_of(k)[2] == 2);
  args.k_rope_token_stride = 0;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto dense = front.last_params<Params>();
  CHECK(strides_of(FakeTensorMap::read(&dense.k_rope)) == Words{128});
}

TEST_CASE("strides that are given to mla_prefill are taken") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.q_head_stride = 200;         // and tokens of 16 such heads
  args.k_token_stride = 4096;       // heads of 192 elements
  args.v_head_stride = 2048 * 128;  // heads first
  args.v_token_stride = 128;
  args.output_head_stride = 192;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  CHECK(strides_of(FakeTensorMap::read(&params.q)) == Words{16 * 200 * 2, 128, 200 * 2});
  CHECK(strides_of(FakeTensorMap::read(&params.k)) == Words{4096 * 2, 128, 192 * 2});
  CHECK(strides_of(FakeTensorMap::read(&params.v)) == Words{128 * 2, 128, 2048 * 128 * 2});
  CHECK(params.out_token_stride == 16 * 192);
  CHECK(params.out_head_stride == 192);
}

TEST_CASE("heads of mla_prefill share keys where there are fewer of them") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.num_kv_heads = 4;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  CHECK(params.heads_per_kv == 4);
  CHECK(sizes_of(FakeTensorMap::read(&params.k)) == Words{64, 2000, 3, 4});
  CHECK(strides_of(FakeTensorMap::read(&params.k)) == Words{4 * 192 * 2, 128, 192 * 2});
  CHECK(sizes_of(FakeTensorMap::read(&params.v)) == Words{64, 2000, 2, 4});
}

TEST_CASE("without cu_seqlens_k the keys of mla_prefill are those of the queries' tokens") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.cu_seqlens_k = nullptr;
  args.num_key_tokens = 0;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  auto params = front.last_params<Params>();
  CHECK(params.cu_seqlens_k == args.cu_seqlens_q);
  CHECK(sizes_of(FakeTensorMap::read(&params.v))[1] == 1000);
  args.num_key_tokens = 1200;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  params = front.last_params<Params>();
  CHECK(params.cu_seqlens_k == args.cu_seqlens_q);
  CHECK(sizes_of(FakeTensorMap::read(&params.v))[1] == 1200);
}

TEST_CASE("without keys mla_prefill has maps that can be prefetched") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.num_key_tokens = 0;
  args.k = args.v = nullptr;
  args.k_rope = somewhere(0x9'0000'0000);
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  for (const auto* map : {&params.k, &params.v, &params.k_rope}) {
    CHECK(FakeTensorMap::read(map).address == 0x1'0000'0000);
  }
  CHECK(params.cu_seqlens_k == args.cu_seqlens_k);
}

TEST_CASE("mla_prefill launches as many blocks as there are multiprocessors, or work") {
  MlaFrontEnd front;
  struct Shape {
    std::int64_t sequences, tokens, heads, workers;
  };
  for (const Shape shape : {Shape{3, 1000, 16, 0}, Shape{3, 1000, 16, 100}, Shape{1, 257, 3, 100},
                            Shape{5, 256, 3, 0}, Shape{1, 1, 1, 0}, Shape{1, 1, 1, 1}}) {
    auto args = mla_args();
    args.num_sequences = shape.sequences;
    args.num_query_tokens = shape.tokens;
    args.num_heads = shape.heads;
    args.num_workers = shape.workers;
    kernels::mla_prefill(*front.runtime, args, nullptr);
    const auto launch = front.scene.fake.launches().back();
    const std::int64_t rows = (launch.block.x - 128) / 2;
    const std::int64_t blocks = (shape.tokens + rows - 1) / rows + shape.sequences;
    const std::int64_t workers = shape.workers == 0 ? 132 : shape.workers;
    CHECK(launch.grid.x == std::min(workers, blocks * shape.heads));
  }
}

TEST_CASE("what mla_prefill launches is as large as the constants of the kernel say") {
  MlaFrontEnd front;
  const Constant constants[] = {
      {"kHeadDim", 64},
      {"kHeadDimV", 64},
      {"CAUSAL", false},
      {"OUTPUT_TYPE", f16},
      {"PROGRAMMATIC_DEPENDENT_LAUNCH", false},
  };
  auto args = mla_args();
  args.head_dim = args.head_dim_v = 64;
  args.causal = false;
  args.output_type = f16;
  args.programmatic_dependent = false;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto launch = front.scene.fake.launches().back();
  const KernelInfo& info = front.kernel(constants);
  CHECK(info.symbol == launch.symbol);
  CHECK_FALSE(launch.programmatic);
  CHECK(launch.block.x == static_cast<std::uint32_t>(info.constant("kNumThreads").as_int()));
  const auto rows = static_cast<std::int64_t>(launch.block.x - 128) / 2;
  const std::int64_t tiles = rows * 64 * 2 + info.constant("kNumStages").as_int() *
                                                 info.constant("kBlockN").as_int() * (64 + 64) * 2;
  CHECK(launch.smem_bytes <= 232'448);
  CHECK(launch.smem_bytes >= static_cast<std::uint32_t>(tiles + 1024));
  CHECK(launch.smem_bytes < static_cast<std::uint32_t>(tiles + 2048));
}

TEST_CASE("FP8 output of mla_prefill is one kernel, whatever the type that was not asked for") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.output_scale = somewhere<float>(0xA'0000'0000);
  args.output_type = f32;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  CHECK(params.output_scale == args.output_scale);
  const Constant constants[] = {{"USE_FP8_OUTPUT", true}};
  const std::string symbol = front.scene.fake.launches().back().symbol;
  CHECK(front.kernel(constants).symbol == symbol);
  args.output_type = bf16;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  CHECK(front.scene.fake.launches().back().symbol == symbol);
  CHECK(front.runtime->stats().compiles == 1);
}

TEST_CASE("scales of groups are handed on with their strides") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.output_group_scales = somewhere<float>(0xA'0000'0000);
  args.output_group_size = 64;
  args.use_ue8m0_scales = true;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  auto params = front.last_params<Params>();
  CHECK(params.group_scales == args.output_group_scales);
  CHECK(params.scale_token_stride == 32);
  CHECK(params.scale_group_stride == 1);
  args.output_scale_token_stride = 1;
  args.output_scale_group_stride = 1000;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  params = front.last_params<Params>();
  CHECK(params.scale_token_stride == 1);
  CHECK(params.scale_group_stride == 1000);
  const Constant constants[] = {
      {"USE_FP8_OUTPUT", true}, {"FP8_GROUP_SIZE", 64}, {"USE_UE8M0_SCALES", true}};
  CHECK(front.kernel(constants).symbol == front.scene.fake.launches().back().symbol);
}

TEST_CASE("the softmax scale and the counters of mla_prefill are handed on") {
  MlaFrontEnd front;
  auto args = mla_args();
  args.softmax_scale = 0.25F;
  args.work_counters = somewhere<std::uint32_t>(0xB'0000'0000);
  args.lse = nullptr;
  kernels::mla_prefill(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  CHECK(params.softmax_scale_log2 == static_cast<float>(0.25 * std::numbers::log2e));
  CHECK(params.work_counters == args.work_counters);
  CHECK(params.lse == nullptr);
}

TEST_CASE("no number of tokens, sequences and heads makes another kernel of mla_prefill") {
  MlaFrontEnd front;
  // All steps of all buckets.
  const Constant causal[] = {{"CAUSAL", true}};
  for (const std::int64_t rows : {std::int64_t{1}, std::int64_t{1} << 30}) {
    front.runtime->get_kernel("mla_prefill", causal, Sizes{{"num_query_rows", rows}});
  }
  const auto compiles = front.runtime->stats().compiles;
  CHECK(compiles <= 2);
  for (std::int64_t i = 0; i < 500; ++i) {
    auto args = mla_args();
    args.num_sequences = 1 + i % 64;
    args.num_query_tokens = 1 + 7 * i;
    args.num_key_tokens = 1 + 131 * i;
    args.num_heads = 16 * (1 + i % 8);
    args.num_kv_heads = i % 2 == 0 ? 0 : 16;
    args.softmax_scale = 0.01F * static_cast<float>(1 + i);
    args.v_head_stride = i % 3 == 0 ? 256 : 0;
    args.lse = i % 2 == 0 ? args.lse : nullptr;
    kernels::mla_prefill(*front.runtime, args, nullptr);
  }
  CHECK(front.runtime->stats().compiles == compiles);
  CHECK(front.scene.fake.launches().size() == 500);
}

TEST_CASE("mla_prefill refuses a GPU that is not Hopper by name") {
  testing::FakeDevice device;
  device.capability = {10, 3};
  MlaFrontEnd front({device});
  const Error error =
      testing::error_of([&] { kernels::mla_prefill(*front.runtime, mla_args(), nullptr); });
  CHECK(error.code() == ErrorCode::kUnsupportedArch);
  CHECK(testing::contains(error.what(), "sm_103a is above the template's max_capability 9.0"));
}

}  // namespace
}  // namespace jit
