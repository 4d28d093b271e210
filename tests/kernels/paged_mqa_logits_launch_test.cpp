// What paged_mqa_logits launches: every operand handed on, the tensor maps, the geometry.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>

#include "jit/kernels/paged_mqa_logits.hpp"
#include "kernels/front_end_fixture.hpp"
#include "mqa_shared/groups.h"
#include "mqa_shared/tile.h"
#include "paged_mqa_logits/params.h"

namespace jit {
namespace {

using cubinet::paged_mqa_logits::Params;
using testing::FakeTensorMap;
using testing::FrontEnd;
using testing::somewhere;

kernels::PagedMqaLogitsArgs some_args() {
  kernels::PagedMqaLogitsArgs args;
  args.batch = 5;
  args.next_n = 3;
  args.num_heads = 64;
  args.num_blocks = 1000;
  args.max_context_len = 8000;
  args.query = somewhere(0x1'0000'0000);
  args.kv_cache = somewhere(0x2'0000'0000);
  args.weights = somewhere<float>(0x3'0000'0000);
  args.context_lens = somewhere<std::int32_t>(0x4'0000'0000);
  args.block_table = somewhere<std::int32_t>(0x5'0000'0000);
  args.logits = somewhere(0x6'0000'0000);
  return args;
}

Stream stream_at(std::uintptr_t address) { return reinterpret_cast<Stream>(address); }

TEST_CASE("paged_mqa_logits hands on every operand and fills in what was left out") {
  FrontEnd front;
  const auto args = some_args();
  kernels::paged_mqa_logits(*front.runtime, args, stream_at(0x40));
  const auto params = front.last_params<Params>();
  CHECK(params.pages == args.kv_cache);
  CHECK(params.weights == args.weights);
  CHECK(params.context_lens == args.context_lens);
  CHECK(params.block_table == args.block_table);
  CHECK(params.schedule == nullptr);
  CHECK(params.logits == args.logits);
  CHECK(params.page_stride == 64 * 132);
  CHECK(params.block_table_stride == 125);
  CHECK(params.logits_stride == 8000);
  CHECK(params.batch == 5);
  CHECK(params.max_context_len == 8000);
  const auto launch = front.scene.fake.launches().back();
  CHECK(launch.stream == stream_at(0x40));
  CHECK(launch.programmatic);
  CHECK(launch.grid.x == 132);
}

TEST_CASE("the tensor maps of paged_mqa_logits are of whole pages and of one token's queries") {
  FrontEnd front;
  auto args = some_args();
  args.block_stride = 16'896;
  kernels::paged_mqa_logits(*front.runtime, args, nullptr);
  auto params = front.last_params<Params>();
  auto keys = FakeTensorMap::read(&params.keys);
  CHECK(keys.address == 0x2'0000'0000);
  CHECK(keys.rank == 3);
  CHECK(std::vector(keys.sizes, keys.sizes + 3) == std::vector<std::uint64_t>{128, 64, 1000});
  CHECK(std::vector(keys.strides, keys.strides + 2) == std::vector<std::uint64_t>{128, 16'896});
  CHECK(std::vector(keys.box, keys.box + 3) == std::vector<std::uint16_t>{128, 64, 1});
  CHECK(keys.swizzle == 3);
  auto queries = FakeTensorMap::read(&params.queries);
  CHECK(queries.address == 0x1'0000'0000);
  CHECK(queries.rank == 2);
  CHECK(std::vector(queries.sizes, queries.sizes + 2) ==
        std::vector<std::uint64_t>{128, std::uint64_t{5} * 3 * 64});
  CHECK(queries.strides[0] == 128);
  CHECK(std::vector(queries.box, queries.box + 2) == std::vector<std::uint16_t>{128, 64});
  CHECK(queries.swizzle == 3);

  args = some_args();
  args.head_dim = 32;
  args.num_heads = 16;
  args.block_kv = 32;
  kernels::paged_mqa_logits(*front.runtime, args, nullptr);
  params = front.last_params<Params>();
  keys = FakeTensorMap::read(&params.keys);
  CHECK(std::vector(keys.sizes, keys.sizes + 3) == std::vector<std::uint64_t>{32, 32, 1000});
  CHECK(std::vector(keys.strides, keys.strides + 2) == std::vector<std::uint64_t>{32, 1152});
  CHECK(std::vector(keys.box, keys.box + 3) == std::vector<std::uint16_t>{32, 32, 1});
  CHECK(keys.swizzle == 1);
  queries = FakeTensorMap::read(&params.queries);
  CHECK(std::vector(queries.box, queries.box + 2) == std::vector<std::uint16_t>{32, 16});
  CHECK(queries.swizzle == 1);
}

TEST_CASE("what is given to paged_mqa_logits is taken instead of defaults") {
  FrontEnd front;
  auto args = some_args();
  args.schedule = somewhere<std::int32_t>(0x7'0000'0000);
  args.block_table_stride = 40;
  args.logits_stride = 8192;
  args.num_workers = 66;
  args.logits_type = bf16;
  args.clean_logits = true;
  args.programmatic_dependent = false;
  kernels::paged_mqa_logits(*front.runtime, args, nullptr);
  const auto params = front.last_params<Params>();
  CHECK(params.schedule == args.schedule);
  CHECK(params.block_table_stride == 40);
  CHECK(params.logits_stride == 8192);
  const auto launch = front.scene.fake.launches().back();
  CHECK(launch.grid.x == 66);
  CHECK_FALSE(launch.programmatic);
  const Constant constants[] = {{"kNextN", 3},          {"kNumHeads", 64},
                                {"LOGITS_TYPE", bf16},  {"CLEAN_LOGITS", true},
                                {"HAS_SCHEDULE", true}, {"PROGRAMMATIC_DEPENDENT_LAUNCH", false}};
  CHECK(front.runtime->get_kernel("paged_mqa_logits", constants).info().symbol == launch.symbol);
}

TEST_CASE("without num_workers there is a block for each multiprocessor of the current device") {
  testing::FakeDevice small;
  small.sm_count = 78;
  small.name = "Smaller GPU";
  FrontEnd front({testing::FakeDevice{}, small});
  kernels::paged_mqa_logits(*front.runtime, some_args(), nullptr);
  CHECK(front.scene.fake.launches().back().grid.x == 132);
  front.scene.use(1);
  kernels::paged_mqa_logits(*front.runtime, some_args(), nullptr);
  CHECK(front.scene.fake.launches().back().grid.x == 78);
  // A schedule is as long as that, and its last pair is memory that is read.
  auto args = some_args();
  args.schedule = somewhere<std::int32_t>(0x6'0000'0000 - std::uintptr_t{79} * 8);
  CHECK_NOTHROW(kernels::paged_mqa_logits(*front.runtime, args, nullptr));
  args.schedule += 2;
  CHECK_THROWS_WITH(kernels::paged_mqa_logits(*front.runtime, args, nullptr),
                    Catch::Matchers::ContainsSubstring("overlaps schedule (632 bytes at "));
}

TEST_CASE("block and shared memory follow from the tunables that were chosen") {
  FrontEnd front;
  for (std::int64_t next_n = 1; next_n <= 6; ++next_n) {
    for (const std::int64_t heads : {16, 32, 64}) {
      auto args = some_args();
      args.next_n = next_n;
      args.num_heads = heads;
      kernels::paged_mqa_logits(*front.runtime, args, nullptr);
      const auto launch = front.scene.fake.launches().back();
      const Constant constants[] = {{"kNextN", next_n}, {"kNumHeads", heads}};
      const KernelInfo& info = front.runtime->get_kernel("paged_mqa_logits", constants).info();
      REQUIRE(info.symbol == launch.symbol);
      CAPTURE(info.signature);
      const auto chosen = [&](const char* name) {
        return static_cast<int>(info.constant(name).as_int());
      };
      const int tokens =
          (static_cast<int>(next_n) + chosen("kNumNextNAtoms") - 1) / chosen("kNumNextNAtoms");
      CHECK(launch.block.x == static_cast<std::uint32_t>(chosen("kNumThreads")));
      CHECK(info.max_threads == launch.block.x);
      CHECK(launch.smem_bytes <= 232'448);
      // Queries, keys and scales in flight at the very least.
      CHECK(launch.smem_bytes >=
            static_cast<std::uint32_t>(chosen("kNumQueryStages") * tokens * heads * (128 + 4) +
                                       (chosen("kNumThreads") / 128 - 1) * chosen("kNumStages") *
                                           64 * (128 + 4)));
      CHECK(std::min(chosen("kNextNAtom"), tokens) * heads <= 256);
    }
  }
}

TEST_CASE("tokens are computed in whole groups only where the last one is padded") {
  using cubinet::mqa::computed_tokens;
  using cubinet::mqa::tokens_of_pass;
  CHECK(tokens_of_pass(5, 2) == 3);
  CHECK(tokens_of_pass(6, 2) == 3);
  CHECK(tokens_of_pass(1, 1) == 1);
  CHECK(computed_tokens(3, 2, false) == 3);
  CHECK(computed_tokens(3, 2, true) == 4);
  CHECK(computed_tokens(4, 2, true) == 4);
  CHECK(computed_tokens(3, 6, true) == 3);
}

TEST_CASE("no batch and no length makes another kernel of paged_mqa_logits, and none is compiled") {
  FrontEnd front;
  kernels::paged_mqa_logits(*front.runtime, some_args(), nullptr);
  const auto compiles = front.runtime->stats().compiles;
  std::mt19937_64 random(20);
  for (int i = 0; i < 1000; ++i) {
    auto args = some_args();
    args.batch = static_cast<std::int64_t>(random() % 4096 + 1);
    args.max_context_len = static_cast<std::int64_t>(random() % 131'072 + 1);
    args.num_blocks = static_cast<std::int64_t>(random() % 1'000'000 + 1);
    args.block_stride = static_cast<std::int64_t>(random() % 64) * 16 + 8448;
    args.num_workers = static_cast<std::int64_t>(random() % 264);
    args.logits = somewhere(0x7000'0000'0000);
    args.block_table = somewhere<std::int32_t>(0x6000'0000'0000);
    args.kv_cache = somewhere(0x5000'0000'0000);
    kernels::paged_mqa_logits(*front.runtime, args, nullptr);
  }
  CHECK(front.runtime->stats().compiles == compiles);
  CHECK(front.scene.fake.launches().size() == 1001);
}

TEST_CASE("paged_mqa_logits may be captured") {
  FrontEnd front;
  kernels::paged_mqa_logits(*front.runtime, some_args(), nullptr);
  const int allocations = front.scene.fake.calls("cuMemAlloc_v2");
  for (int i = 0; i < 3; ++i) kernels::paged_mqa_logits(*front.runtime, some_args(), nullptr);
  CHECK(front.scene.fake.calls("cuMemAlloc_v2") == allocations);
  // Maps of the same operands are encoded once.
  CHECK(front.scene.fake.calls("cuTensorMapEncodeTiled") == 2);
}

TEST_CASE("a GPU that is not Hopper is refused by name before a map is made") {
  for (const ComputeCapability capability :
       {ComputeCapability{8, 0}, ComputeCapability{10, 0}, ComputeCapability{12, 0}}) {
    testing::FakeDevice device;
    device.capability = capability;
    FrontEnd front({device});
    const Error error =
        testing::error_of([&] { kernels::paged_mqa_logits(*front.runtime, some_args(), nullptr); });
    CHECK(error.code() == ErrorCode::kUnsupportedArch);
    CHECK(testing::contains(error.what(), capability.major == 8
                                              ? "sm_80 is below the template's min_capability 9.0"
                                              : "is above the template's max_capability 9.0"));
    CHECK(front.scene.fake.launches().empty());
  }
}

// All presets, as an engine warms up with; the calls after that compile nothing.
TEST_CASE("what the presets of paged_mqa_logits name is what its front end asks for") {
  FrontEnd front;
  std::vector<KernelSpec> specs;
  for (const std::int64_t next_n : {1, 2, 3}) {
    const Constant constants[] = {{"kNextN", next_n}, {"kNumHeads", 64}};
    specs.emplace_back("paged_mqa_logits", constants);
  }
  const WarmUpReport report = front.runtime->warm_up(specs);
  CHECK(report.failures.empty());
  const auto compiles = front.runtime->stats().compiles;
  for (const std::int64_t next_n : {1, 2, 3}) {
    auto args = some_args();
    args.next_n = next_n;
    kernels::paged_mqa_logits(*front.runtime, args, nullptr);
  }
  CHECK(front.runtime->stats().compiles == compiles);
}

}  // namespace
}  // namespace jit
