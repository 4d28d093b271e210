// What fp8_attention launches: every operand handed on, the kernel's constants, the geometry.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <functional>
#include <numbers>

#include "fp8_attention/params.h"
#include "kernels/fp8_attention_args.hpp"
#include "kernels/fp8_attention_launch.hpp"

namespace jit {
namespace {

using cubinet::fp8_attention::Params;
using testing::fp8_args;
using testing::Fp8FrontEnd;
using testing::paged_fp8_args;
using testing::somewhere;

using Args = kernels::Fp8AttentionArgs;
using Change = std::function<void(Args&)>;

Params launched(Fp8FrontEnd& front, const Args& args) {
  kernels::fp8_attention(*front.runtime, args, nullptr);
  return front.last_params<Params>();
}

// The kernel that is launched for changed operands.
const KernelInfo& kernel_of(Fp8FrontEnd& front, Args args, const Change& change) {
  change(args);
  kernels::fp8_attention(*front.runtime, args, nullptr);
  const KernelInfo& info = kernels::fp8_attention_kernel(*front.runtime, args).info();
  CHECK(front.scene.fake.launches().back().symbol == info.symbol);
  return info;
}

TEST_CASE("fp8_attention hands on every operand") {
  Fp8FrontEnd front;
  auto args = fp8_args();
  args.seqused_q = somewhere<std::int32_t>(0xA'0000'0000);
  args.seqused_k = somewhere<std::int32_t>(0x8'0000'0000);
  args.q_descale = {somewhere<float>(0xB'0000'0000), 2, 1};
  args.k_descale = {somewhere<float>(0xC'0000'0000), 5, 3};
  args.v_descale = {somewhere<float>(0xD'0000'0000), 0, 0};
  args.sinks = somewhere(0xE'0000'0000);
  args.work_counters = somewhere<std::uint32_t>(0xF'0000'0000);
  kernels::fp8_attention(*front.runtime, args, reinterpret_cast<Stream>(0x40));
  const auto params = front.last_params<Params>();
  CHECK(params.cu_seqlens_q == args.cu_seqlens_q);
  CHECK(params.cu_seqlens_k == args.cu_seqlens_k);
  CHECK(params.seqused_q == args.seqused_q);
  CHECK(params.seqused_k == args.seqused_k);
  CHECK(params.page_table == nullptr);
  CHECK(params.q_descale.data == args.q_descale.data);
  CHECK(params.q_descale.sequence_stride == 2);
  CHECK(params.q_descale.head_stride == 1);
  CHECK(params.k_descale.data == args.k_descale.data);
  CHECK(params.k_descale.sequence_stride == 5);
  CHECK(params.k_descale.head_stride == 3);
  CHECK(params.v_descale.data == args.v_descale.data);
  CHECK(params.v_descale.sequence_stride == 0);
  CHECK(params.v_descale.head_stride == 0);
  CHECK(params.sinks == args.sinks);
  CHECK(params.out == args.output);
  CHECK(params.lse == args.lse);
  CHECK(params.output_scale == nullptr);
  CHECK(params.work_counters == args.work_counters);
  const auto launch = front.scene.fake.launches().back();
  CHECK(launch.stream == reinterpret_cast<Stream>(0x40));
  CHECK(launch.programmatic);
}

TEST_CASE("fp8_attention fills in what was left out") {
  Fp8FrontEnd front;
  const auto params = launched(front, fp8_args());
  CHECK(params.seqused_q == nullptr);
  CHECK(params.seqused_k == nullptr);
  CHECK(params.q_descale.data == nullptr);
  CHECK(params.sinks == nullptr);
  CHECK(params.work_counters == nullptr);
  CHECK(params.out_token_stride == 16 * 128);
  CHECK(params.out_head_stride == 128);
  CHECK(params.lse_head_stride == 1000);
  CHECK(params.num_sequences == 3);
  CHECK(params.num_heads == 16);
  CHECK(params.heads_per_kv == 8);
  CHECK(params.num_splits == 1);
  CHECK(params.split_tiles >= 1);
  const double scale = static_cast<float>(1 / std::sqrt(128.0));
  CHECK(params.softmax_scale_log2 == static_cast<float>(scale * std::numbers::log2e));
  auto args = fp8_args();
  args.cu_seqlens_k = nullptr;
  args.num_key_tokens = 0;
  CHECK(launched(front, args).cu_seqlens_k == args.cu_seqlens_q);
}

TEST_CASE("scales of fp8_attention are rounded once, with a cap other ones") {
  Fp8FrontEnd front;
  auto args = fp8_args();
  args.softmax_scale = 0.3F;
  CHECK(launched(front, args).softmax_scale_log2 ==
        static_cast<float>(double{0.3F} * std::numbers::log2e));
  args.softcap = 7;
  const auto params = launched(front, args);
  CHECK(params.softmax_scale_log2 == static_cast<float>(7 * std::numbers::log2e));
  CHECK(params.softcap_factor == static_cast<float>(double{0.3F} / 7));
}

TEST_CASE("windows of fp8_attention are those that kernels know") {
  Fp8FrontEnd front;
  struct Row {
    bool causal;
    std::int64_t left, right;
    bool is_causal, is_window;
    int has_left, has_right;
  };
  constexpr int kFar = 1 << 30;
  for (const Row& row : {
           Row{true, -1, -1, true, false, kFar, 0},
           Row{true, -1, 5, true, false, kFar, 0},  // with causal it does not count
           Row{true, 100, -1, true, true, 100, 0},
           Row{true, 0, 0, true, true, 0, 0},
           Row{false, -1, -1, false, false, kFar, kFar},
           Row{false, -1, 0, true, false, kFar, 0},  // causal by another name
           Row{false, 100, 0, true, true, 100, 0},
           Row{false, -1, 3, false, true, kFar, 3},
           Row{false, 100, 3, false, true, 100, 3},
           Row{false, 100, -1, false, true, 100, kFar},
           Row{false, std::int64_t{1} << 40, std::int64_t{1} << 30, false, false, kFar, kFar},
           Row{true, std::int64_t{1} << 40, -1, true, false, kFar, 0},
       }) {
    const KernelInfo& info = kernel_of(front, fp8_args(), [&](auto& a) {
      a.causal = row.causal;
      a.window_left = row.left;
      a.window_right = row.right;
    });
    CAPTURE(row.causal, row.left, row.right);
    CHECK(info.constant("CAUSAL").as_bool() == row.is_causal);
    CHECK(info.constant("WINDOW").as_bool() == row.is_window);
    const auto params = front.last_params<Params>();
    CHECK(params.window_left == row.has_left);
    CHECK(params.window_right == row.has_right);
  }
}

TEST_CASE("each feature of fp8_attention is a constant of its kernel, and no other is") {
  Fp8FrontEnd front;
  struct Row {
    Change change;
    const char* name;
    Value value;
  };
  const auto plain = kernel_of(front, fp8_args(), [](auto&) {}).constants;
  const std::vector<Row> rows{
      {[](auto& a) { a.causal = false; }, "CAUSAL", false},
      {[](auto& a) { a.window_left = 10; }, "WINDOW", true},
      {[](auto& a) { a.softcap = 30; }, "SOFTCAP", true},
      {[](auto& a) { a.sinks = somewhere(0xE'0000'0000); }, "SINKS", true},
      {[](auto& a) { a.pack_gqa = 4; }, "kPackGqa", 4},
      {[](auto& a) { a.accum_interval = 0; }, "kAccumInterval", 0},
      {[](auto& a) { a.accum_interval = 4; }, "kAccumInterval", 4},
      {[](auto& a) { a.output_scale = somewhere<float>(0xA'0000'0000); }, "USE_FP8_OUTPUT", true},
      {[](auto& a) { a.invariant = true; }, "kInvariant", true},
      {[](auto& a) { a.programmatic_dependent = false; }, "PROGRAMMATIC_DEPENDENT_LAUNCH", false},
  };
  for (const Row& row : rows) {
    const KernelInfo& info = kernel_of(front, fp8_args(), row.change);
    CAPTURE(row.name);
    CHECK(info.constant(row.name) == row.value);
    for (const Constant& constant : plain) {
      if (constant.name == row.name) CHECK_FALSE(constant.value == row.value);
      // Tile sizes may follow.
      const bool follows = constant.name == row.name || constant.name == "kBlockN" ||
                           constant.name == "kChunk" || constant.name == "kNumStages" ||
                           constant.name == "kValueStages" || constant.name == "kNumThreads";
      if (!follows) CHECK(info.constant(constant.name) == constant.value);
    }
  }
  const auto launch = front.scene.fake.launches().back();
  CHECK_FALSE(launch.programmatic);
}

TEST_CASE("head sizes of fp8_attention are constants of its kernel") {
  Fp8FrontEnd front;
  for (const std::int64_t dim : {64, 96, 192, 256}) {
    const KernelInfo& info = kernel_of(front, fp8_args(), [dim](auto& a) { a.head_dim = dim; });
    CHECK(info.constant("kHeadDim") == Value(dim));
    CHECK(info.constant("kHeadDimV") == Value(dim));
    const auto params = front.last_params<Params>();
    CHECK(params.out_token_stride == 16 * dim);
    CHECK(params.out_head_stride == dim);
  }
  const KernelInfo& info = kernel_of(front, fp8_args(), [](auto& a) {
    a.head_dim = 192;
    a.head_dim_v = 128;
  });
  CHECK(info.constant("kHeadDim") == Value(192));
  CHECK(info.constant("kHeadDimV") == Value(128));
  CHECK(front.last_params<Params>().out_head_stride == 128);
}

TEST_CASE("as many heads are packed as divide those of a key head, or as are asked for") {
  Fp8FrontEnd front;
  struct Row {
    std::int64_t heads, kv_heads, given, packed;
  };
  for (const Row& row :
       {Row{16, 2, 0, 8}, Row{16, 1, 0, 16}, Row{64, 1, 0, 16}, Row{12, 1, 0, 4}, Row{6, 2, 0, 1},
        Row{16, 16, 0, 1}, Row{16, 0, 0, 1}, Row{16, 1, 4, 4}, Row{16, 1, 1, 1}}) {
    const KernelInfo& info = kernel_of(front, fp8_args(), [&](auto& a) {
      a.num_heads = row.heads;
      a.num_kv_heads = row.kv_heads;
      a.pack_gqa = row.given;
    });
    CAPTURE(row.heads, row.kv_heads, row.given);
    CHECK(info.constant("kPackGqa") == Value(row.packed));
    const auto params = front.last_params<Params>();
    CHECK(params.heads_per_kv == (row.kv_heads == 0 ? 1 : row.heads / row.kv_heads));
  }
}

TEST_CASE("the rows of a sequence's longest row block choose the kernel of fp8_attention") {
  Fp8FrontEnd front;
  const auto threads = [&](std::int64_t longest, std::int64_t pack) {
    return kernel_of(front, fp8_args(),
                     [&](auto& a) {
                       a.max_query_tokens = longest;
                       a.pack_gqa = pack;
                     })
        .constant("kNumThreads")
        .as_int();
  };
  const std::int64_t decode = threads(1, 8);
  const std::int64_t prefill = threads(1000, 8);
  CHECK(decode == 256);
  CHECK(prefill > decode);
  CHECK(threads(8, 8) == decode);
  CHECK(threads(9, 8) == prefill);
  CHECK(threads(64, 1) == decode);
  CHECK(threads(65, 1) == prefill);
  CHECK(threads(0, 8) == prefill);        // all 1000 may be of one sequence
  CHECK(threads(100'000, 8) == prefill);  // more than there are
}

TEST_CASE("pages of fp8_attention are copied by the largest power of two that divides them") {
  Fp8FrontEnd front;
  struct Row {
    std::int64_t page_size, rows;
  };
  for (const Row& row : {Row{1, 1}, Row{3, 1}, Row{4, 4}, Row{16, 16}, Row{48, 16}, Row{64, 64},
                         Row{128, 128}, Row{256, 128}, Row{784, 16}}) {
    const KernelInfo& info =
        kernel_of(front, paged_fp8_args(), [&](auto& a) { a.page_size = row.page_size; });
    CAPTURE(row.page_size);
    CHECK(info.constant("kPageRows") == Value(row.rows));
    CHECK(front.last_params<Params>().page_size == row.page_size);
  }
  auto args = paged_fp8_args();
  auto params = launched(front, args);
  CHECK(params.page_table == args.page_table);
  CHECK(params.page_table_stride == 40);
  CHECK(params.cu_seqlens_k == nullptr);
  CHECK(params.seqused_k == args.seqused_k);
  args.page_table_stride = 100;
  CHECK(launched(front, args).page_table_stride == 100);
}

TEST_CASE("fp8_attention launches as many blocks as fit, or as there is work") {
  Fp8FrontEnd front;
  struct Shape {
    std::int64_t sequences, tokens, heads, kv_heads, workers;
  };
  for (const Shape shape :
       {Shape{3, 1000, 16, 2, 0}, Shape{3, 1000, 16, 2, 100}, Shape{1, 257, 3, 3, 100},
        Shape{5, 4096, 32, 4, 0}, Shape{1, 1, 1, 1, 0}, Shape{1, 1, 16, 1, 7},
        Shape{64, 64, 64, 8, 0}, Shape{64, 64, 64, 8, 264}}) {
    auto args = fp8_args();
    args.num_sequences = shape.sequences;
    args.num_query_tokens = shape.tokens;
    args.max_query_tokens = shape.tokens / shape.sequences;
    args.num_heads = shape.heads;
    args.num_kv_heads = shape.kv_heads;
    args.num_workers = shape.workers;
    args.num_splits = 1;
    kernels::fp8_attention(*front.runtime, args, nullptr);
    const auto launch = front.scene.fake.launches().back();
    const KernelInfo& info = kernels::fp8_attention_kernel(*front.runtime, args).info();
    const std::int64_t rows = (launch.block.x - 128) / 2;
    const std::int64_t pack = info.constant("kPackGqa").as_int();
    const std::int64_t blocks = (shape.tokens * pack + rows - 1) / rows + shape.sequences;
    const std::int64_t fit = std::min<std::int64_t>(
        {2048 / launch.block.x, (228 << 10) / (launch.smem_bytes + info.smem_bytes + 1024),
         65'536 / (launch.block.x / 32 * ((info.registers + 7) / 8 * 8 * 32))});
    const std::int64_t workers = shape.workers == 0 ? 132 * fit : shape.workers;
    CHECK(launch.grid.x == std::min(workers, blocks * shape.heads / pack));
    if (shape.workers == 0) CHECK(kernels::fp8_attention_workers(info, 132) == workers);
  }
}

TEST_CASE("what fp8_attention launches is as large as the constants of the kernel say") {
  Fp8FrontEnd front;
  for (const std::int64_t dim : {64, 128, 256}) {
    const KernelInfo& info = kernel_of(front, fp8_args(), [dim](auto& a) { a.head_dim = dim; });
    const auto launch = front.scene.fake.launches().back();
    const auto constant = [&](const char* name) { return info.constant(name).as_int(); };
    CHECK(launch.block.x == static_cast<std::uint32_t>(constant("kNumThreads")));
    const std::int64_t rows = (constant("kNumThreads") - 128) / 2;
    const std::int64_t tile = constant("kBlockN") * dim;
    const std::int64_t bytes =
        rows * dim + (2 * constant("kNumStages") + constant("kValueStages")) * tile;
    CHECK(launch.smem_bytes <= 232'448);
    CHECK(launch.smem_bytes >= static_cast<std::uint32_t>(bytes + 1024));
    CHECK(launch.smem_bytes < static_cast<std::uint32_t>(bytes + 8192));
  }
}

TEST_CASE("FP8 output of fp8_attention is one scale for all") {
  Fp8FrontEnd front;
  auto args = fp8_args();
  args.output_scale = somewhere<float>(0xA'0000'0000);
  args.output_head_stride = 144;
  const auto params = launched(front, args);
  CHECK(params.output_scale == args.output_scale);
  CHECK(params.out == args.output);
  CHECK(params.out_head_stride == 144);
  CHECK(params.out_token_stride == 16 * 144);
}

TEST_CASE("fp8_attention may be launched in steps") {
  Fp8FrontEnd front;
  auto args = fp8_args();
  args.num_splits = 1;
  args.num_workers = 17;
  const Kernel kernel = kernels::fp8_attention_kernel(*front.runtime, args);
  kernels::KeptTensorMaps maps(*front.runtime);
  kernels::launch_fp8_attention(maps, kernel, args, reinterpret_cast<Stream>(0x40));
  CHECK(front.scene.fake.launches().back().grid.x == 17);
  CHECK(front.scene.fake.launches().back().stream == reinterpret_cast<Stream>(0x40));
  const auto in_steps = front.last_params<Params>();
  const auto at_once = launched(front, args);
  CHECK(std::memcmp(&in_steps, &at_once, sizeof in_steps) == 0);
  args.num_query_tokens = 0;
  kernels::launch_fp8_attention(maps, kernel, args, nullptr);
  CHECK(front.scene.fake.launches().size() == 2);
}

}  // namespace
}  // namespace jit
