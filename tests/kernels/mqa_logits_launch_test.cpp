// What mqa_logits launches: every operand handed on, the tensor maps, the geometry.
#include <catch2/catch_test_macros.hpp>

#include "jit/kernels/mqa_logits.hpp"
#include "kernels/front_end_fixture.hpp"
#include "mqa_logits/params.h"

namespace jit {
namespace {

using cubinet::mqa_logits::Params;
using testing::FakeTensorMap;
using testing::FrontEnd;
using testing::somewhere;

kernels::MqaLogitsArgs some_args() {
  kernels::MqaLogitsArgs args;
  args.num_tokens = 10;
  args.num_keys = 1000;
  args.num_heads = 32;
  args.query = somewhere(0x1'0000'0000);
  args.keys = somewhere(0x2'0000'0000);
  args.key_scales = somewhere<float>(0x3'0000'0000);
  args.weights = somewhere<float>(0x4'0000'0000);
  args.starts = somewhere<std::int32_t>(0x5'0000'0000);
  args.ends = somewhere<std::int32_t>(0x6'0000'0000);
  args.logits = somewhere(0x7'0000'0000);
  return args;
}

TEST_CASE("mqa_logits hands on every operand and fills in what was left out") {
  FrontEnd front;
  const auto args = some_args();
  kernels::mqa_logits(*front.runtime, args, reinterpret_cast<Stream>(0x40));
  const auto params = front.last_params<Params>();
  CHECK(params.weights == args.weights);
  CHECK(params.starts == args.starts);
  CHECK(params.ends == args.ends);
  CHECK(params.logits == args.logits);
  CHECK(params.logits_stride == 1000);
  CHECK(params.logits_width == 1000);
  CHECK(params.num_tokens == 10);
  CHECK(params.num_keys == 1000);
  const auto launch = front.scene.fake.launches().back();
  CHECK(launch.stream == reinterpret_cast<Stream>(0x40));
  CHECK(launch.programmatic);
  CHECK(launch.grid.x == 132);
}

TEST_CASE("the tensor maps of mqa_logits are of tiles of keys and scales and one token's queries") {
  FrontEnd front;
  auto args = some_args();
  args.head_dim = 64;
  kernels::mqa_logits(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  const auto keys = FakeTensorMap::read(&params.keys);
  CHECK(keys.address == 0x2'0000'0000);
  CHECK(keys.rank == 2);
  CHECK(std::vector(keys.sizes, keys.sizes + 2) == std::vector<std::uint64_t>{64, 1000});
  CHECK(keys.strides[0] == 64);
  CHECK(std::vector(keys.box, keys.box + 2) == std::vector<std::uint16_t>{64, 64});
  CHECK(keys.swizzle == 2);
  const auto scales = FakeTensorMap::read(&params.key_scales);
  CHECK(scales.address == 0x3'0000'0000);
  CHECK(scales.rank == 1);
  CHECK(scales.type == 7);  // CU_TENSOR_MAP_DATA_TYPE_FLOAT32
  CHECK(scales.sizes[0] == 1000);
  CHECK(scales.box[0] == 64);
  CHECK(scales.swizzle == 0);
  const auto queries = FakeTensorMap::read(&params.queries);
  CHECK(queries.address == 0x1'0000'0000);
  CHECK(std::vector(queries.sizes, queries.sizes + 2) == std::vector<std::uint64_t>{64, 320});
  CHECK(std::vector(queries.box, queries.box + 2) == std::vector<std::uint16_t>{64, 32});
  CHECK(queries.swizzle == 2);
}

TEST_CASE("what is given to mqa_logits is taken instead of defaults") {
  FrontEnd front;
  auto args = some_args();
  args.logits_type = bf16;
  args.logits_width = 300;
  args.logits_stride = 512;
  args.num_workers = 20;
  args.compressed_logits = args.clean_logits = true;
  args.programmatic_dependent = false;
  kernels::mqa_logits(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  CHECK(params.logits_width == 300);
  CHECK(params.logits_stride == 512);
  const auto launch = front.scene.fake.launches().back();
  CHECK(launch.grid.x == 20);
  CHECK_FALSE(launch.programmatic);
  const Constant constants[] = {{"kNumHeads", 32},
                                {"LOGITS_TYPE", bf16},
                                {"COMPRESSED_LOGITS", true},
                                {"CLEAN_LOGITS", true},
                                {"PROGRAMMATIC_DEPENDENT_LAUNCH", false}};
  const KernelInfo& info = front.runtime->get_kernel("mqa_logits", constants).info();
  CHECK(info.symbol == launch.symbol);
  CHECK(launch.block.x == static_cast<std::uint32_t>(info.constant("kNumThreads").as_int()));
  CHECK(launch.smem_bytes <= 232'448);
  CHECK(launch.smem_bytes >=
        static_cast<std::uint32_t>(info.constant("kNumQueryStages").as_int() *
                                       info.constant("kBlockQ").as_int() * 32 * (128 + 4) +
                                   (launch.block.x / 128 - 1) *
                                       info.constant("kNumStages").as_int() * 64 * (128 + 4)));
}

TEST_CASE("without keys mqa_logits cleans, with maps that can be prefetched") {
  FrontEnd front;
  auto args = some_args();
  args.num_keys = 0;
  args.keys = args.key_scales = nullptr;
  args.logits_width = 100;
  args.clean_logits = true;
  kernels::mqa_logits(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  CHECK(params.num_keys == 0);
  CHECK(params.logits_width == 100);
  CHECK(FakeTensorMap::read(&params.keys).address == 0x1'0000'0000);
  CHECK(FakeTensorMap::read(&params.key_scales).address == 0x1'0000'0000);
}

TEST_CASE("no number of tokens and keys makes another kernel of mqa_logits") {
  FrontEnd front;
  kernels::mqa_logits(*front.runtime, some_args(), nullptr);
  for (std::int64_t i = 1; i < 500; ++i) {
    auto args = some_args();
    args.num_tokens = 7 * i;
    args.num_keys = 131 * i;
    args.logits = somewhere(0x7000'0000'0000);
    kernels::mqa_logits(*front.runtime, args, nullptr);
  }
  CHECK(front.runtime->stats().compiles == 1);
  CHECK(front.scene.fake.launches().size() == 500);
}

TEST_CASE("mqa_logits refuses a GPU that is not Hopper by name") {
  testing::FakeDevice device;
  device.capability = {10, 3};
  FrontEnd front({device});
  const Error error =
      testing::error_of([&] { kernels::mqa_logits(*front.runtime, some_args(), nullptr); });
  CHECK(error.code() == ErrorCode::kUnsupportedArch);
  CHECK(testing::contains(error.what(), "sm_103a is above the template's max_capability 9.0"));
}

}  // namespace
}  // namespace jit
