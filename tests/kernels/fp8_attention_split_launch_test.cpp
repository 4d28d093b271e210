// The two launches of fp8_attention with split keys: parts into the workspace, then one output.
#include <catch2/catch_test_macros.hpp>
#include <cstring>

#include "attention_combine/params.h"
#include "attention_combine/tile.h"
#include "fp8_attention/params.h"
#include "kernels/fp8_attention_args.hpp"
#include "kernels/fp8_attention_launch.hpp"

namespace jit {
namespace {

using Combine = cubinet::attention_combine::Params;
using cubinet::fp8_attention::Params;
using testing::Fp8FrontEnd;
using testing::somewhere;

using Args = kernels::Fp8AttentionArgs;

constexpr std::uintptr_t kWorkspace = 0x10'0000'0000;

// Three parts of fp8_args().
Args split_args() {
  Args args = testing::fp8_args();
  testing::give_workspace(args);
  args.num_splits = 3;
  args.output_head_stride = 144;
  args.output_token_stride = 4096;
  return args;
}

struct Launches {
  Params attention{};
  Combine combine{};
  testing::FakeLaunch first, second;
};

template <class T>
T params_of(const testing::FakeLaunch& launch) {
  T params{};
  REQUIRE(launch.params.size() == sizeof params);
  std::memcpy(static_cast<void*>(&params), launch.params.data(), sizeof params);
  return params;
}

// The last two launches.
Launches last_two(Fp8FrontEnd& front) {
  const auto all = front.scene.fake.launches();
  REQUIRE(all.size() >= 2);
  const auto& first = all[all.size() - 2];
  return {params_of<Params>(first), params_of<Combine>(all.back()), first, all.back()};
}

Launches launched(Fp8FrontEnd& front, const Args& args) {
  kernels::fp8_attention(*front.runtime, args, reinterpret_cast<Stream>(0x40));
  return last_two(front);
}

TEST_CASE("parts of fp8_attention go into the workspace, and from there into the output") {
  Fp8FrontEnd front;
  auto args = split_args();
  args.seqused_q = somewhere<std::int32_t>(0xA'0000'0000);
  const Launches both = launched(front, args);
  constexpr std::uintptr_t kLses = kWorkspace + std::uintptr_t{3} * 16'000 * 128 * 4;
  CHECK(both.attention.out == somewhere(kWorkspace));
  CHECK(both.attention.lse == somewhere(kLses));
  CHECK(both.attention.output_scale == nullptr);
  CHECK(both.attention.out_split_stride == 16'000 * 128);
  CHECK(both.attention.out_token_stride == 16 * 128);
  CHECK(both.attention.out_head_stride == 128);
  CHECK(both.attention.lse_split_stride == 16'000);
  CHECK(both.attention.lse_head_stride == 1000);
  CHECK(both.attention.num_splits == 3);
  CHECK(both.combine.parts == somewhere(kWorkspace));
  CHECK(both.combine.part_lse == somewhere(kLses));
  CHECK(both.combine.part_split_stride == both.attention.out_split_stride);
  CHECK(both.combine.part_token_stride == both.attention.out_token_stride);
  CHECK(both.combine.part_head_stride == both.attention.out_head_stride);
  CHECK(both.combine.lse_split_stride == both.attention.lse_split_stride);
  CHECK(both.combine.lse_head_stride == both.attention.lse_head_stride);
  CHECK(both.combine.cu_seqlens_q == args.cu_seqlens_q);
  CHECK(both.combine.seqused_q == args.seqused_q);
  CHECK(both.combine.out == args.output);
  CHECK(both.combine.lse == args.lse);
  CHECK(both.combine.output_scale == nullptr);
  CHECK(both.combine.out_token_stride == 4096);
  CHECK(both.combine.out_head_stride == 144);
  CHECK(both.combine.num_parts == 3);
  CHECK(both.combine.num_tokens == 1000);
  CHECK(both.combine.num_heads == 16);
  CHECK(both.combine.num_sequences == 3);
  CHECK(both.first.stream == reinterpret_cast<Stream>(0x40));
  CHECK(both.second.stream == reinterpret_cast<Stream>(0x40));
  CHECK(both.first.programmatic);
  CHECK(both.second.programmatic);
}

TEST_CASE("parts are written where nobody asks for LSEs") {
  Fp8FrontEnd front;
  auto args = split_args();
  args.lse = nullptr;
  args.programmatic_dependent = false;
  const Launches both = launched(front, args);
  CHECK(both.attention.lse != nullptr);
  CHECK(both.combine.lse == nullptr);
  CHECK_FALSE(both.first.programmatic);
  CHECK_FALSE(both.second.programmatic);
}

TEST_CASE("FP8 output of parts is that of the kernel that joins them") {
  Fp8FrontEnd front;
  auto args = split_args();
  args.output_scale = somewhere<float>(0xA'0000'0000);
  const Launches both = launched(front, args);
  CHECK(both.attention.output_scale == nullptr);
  CHECK(both.combine.output_scale == args.output_scale);
  const KernelInfo& parts = kernels::fp8_attention_kernel(*front.runtime, args).info();
  CHECK(both.first.symbol == parts.symbol);
  CHECK(parts.constant("SPLIT").as_bool());
  CHECK_FALSE(parts.constant("USE_FP8_OUTPUT").as_bool());
  const KernelInfo& combine = kernels::attention_combine_kernel(*front.runtime, args).info();
  CHECK(both.second.symbol == combine.symbol);
  CHECK(combine.constant("USE_FP8_OUTPUT").as_bool());
  CHECK(combine.constant("kHeadDimV") == Value(128));
}

TEST_CASE("a part has as many key tiles as the longest sequence needs") {
  Fp8FrontEnd front;
  auto args = split_args();
  const std::int64_t tile =
      kernels::fp8_attention_kernel(*front.runtime, args).info().constant("kBlockN").as_int();
  const auto tiles = [&](std::int64_t longest, std::int64_t parts) {
    args.max_key_tokens = longest;
    args.num_splits = parts;
    return launched(front, args).attention.split_tiles;
  };
  CHECK(tiles(6 * tile, 3) == 2);
  CHECK(tiles(6 * tile + 1, 3) == 3);
  CHECK(tiles(1, 128) == 1);
  CHECK(tiles(0, 2) == (2000 + 2 * tile - 1) / (2 * tile));
  CHECK(tiles(100'000, 2) == (2000 + 2 * tile - 1) / (2 * tile));
  args.num_key_tokens = 0;
  args.k = args.v = nullptr;
  CHECK(tiles(0, 2) == 1);
}

TEST_CASE("there are as many blocks as parts have work, and as rows are joined") {
  Fp8FrontEnd front;
  for (const std::int64_t tokens : {1, 7, 1000}) {
    for (const std::int64_t parts : {2, 9, 128}) {
      auto args = split_args();
      args.num_query_tokens = tokens;
      args.num_sequences = 1;
      args.num_splits = parts;
      args.num_workers = 100'000;
      const Launches both = launched(front, args);
      const std::int64_t rows = (both.first.block.x - 128) / 2;
      CHECK(both.first.grid.x == ((tokens * 8 + rows - 1) / rows + 1) * 2 * parts);
      const std::int64_t joined = cubinet::attention_combine::rows_of_block(
          static_cast<int>(both.second.block.x), 128, static_cast<int>(parts));
      CHECK(both.second.grid.x == (tokens * 16 + joined - 1) / joined);
      CHECK(both.second.smem_bytes == 0);
    }
  }
}

TEST_CASE("fp8_attention splits by itself where that keeps the GPU busy and there is room") {
  Fp8FrontEnd front;
  auto args = split_args();
  args.num_sequences = args.num_query_tokens = 4;
  args.max_query_tokens = 1;
  args.num_key_tokens = 300'000;
  args.k = somewhere(0x100'0000'0000);
  args.v = somewhere(0x200'0000'0000);
  args.num_splits = 0;
  const Launches both = launched(front, args);
  CHECK(both.attention.num_splits > 2);
  CHECK(both.combine.num_parts == both.attention.num_splits);
  CHECK(kernels::fp8_attention_workspace_bytes(args) ==
        std::int64_t{both.attention.num_splits} * 64 * (128 + 1) * 4);
  args.workspace = nullptr;
  kernels::fp8_attention(*front.runtime, args, nullptr);
  CHECK(front.last_params<Params>().num_splits == 1);
  CHECK(front.last_params<Params>().out == args.output);
}

TEST_CASE("both kernels are there before the first launch") {
  testing::Scene scene;
  scene.use(0);
  scene.options.template_path = {testing::write_quick_fp8_attention(scene.directory.path())};
  const Args args = split_args();
  {
    Runtime builder(scene.options);
    kernels::fp8_attention_kernel(builder, args);
  }
  scene.options.mode = Mode::kFrozen;  // and no kernel that joins
  Runtime engine(scene.options);
  const Error error = testing::error_of([&] { kernels::fp8_attention(engine, args, nullptr); });
  CHECK(error.code() == ErrorCode::kFrozenMiss);
  CHECK(scene.fake.launches().empty());
}

TEST_CASE("parts of fp8_attention may be launched in steps") {
  Fp8FrontEnd front;
  auto args = split_args();
  args.num_workers = 17;
  const Launches at_once = launched(front, args);
  kernels::KeptTensorMaps maps(*front.runtime);
  kernels::launch_fp8_attention(maps, kernels::fp8_attention_kernel(*front.runtime, args), args,
                                nullptr);
  kernels::launch_attention_combine(kernels::attention_combine_kernel(*front.runtime, args), args,
                                    nullptr);
  const Launches in_steps = last_two(front);
  CHECK(in_steps.first.params == at_once.first.params);
  CHECK(in_steps.second.params == at_once.second.params);
  CHECK(in_steps.first.grid.x == at_once.first.grid.x);
  CHECK(in_steps.second.grid.x == at_once.second.grid.x);
}

}  // namespace
}  // namespace jit
