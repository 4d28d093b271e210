// How many parts fp8_attention splits keys into, and where it puts them.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstddef>

#include "kernels/fp8_attention_args.hpp"
#include "kernels/fp8_attention_splits.hpp"
#include "kernels/random_sizes.hpp"

namespace jit {
namespace {

using kernels::best_splits;
using kernels::fp8_attention_workspace_bytes;
using kernels::Fp8AttentionArgs;
using kernels::kMaxSplits;
using kernels::OperandCheck;
using kernels::SplitProblem;

constexpr OperandCheck kCheck("fp8_attention");

std::int64_t splits(std::int64_t items, std::int64_t key_tiles, std::int64_t workers,
                    bool is_decode = true) {
  return best_splits({items, key_tiles, workers, is_decode});
}

// As the kernel has it: part p takes tiles from p * ceil(tiles / parts) on.
bool reaches_every_part(std::int64_t tiles, std::int64_t parts) {
  return (parts - 1) * ((tiles + parts - 1) / parts) < tiles;
}

double used(std::int64_t pieces, std::int64_t workers) {
  const std::int64_t waves = (pieces + workers - 1) / workers;
  return static_cast<double>(pieces) / static_cast<double>(waves * workers);
}

TEST_CASE("keys are not split where there is work for 80 % of the blocks") {
  CHECK(splits(106, 1000, 132) == 1);
  CHECK(splits(105, 1000, 132) == 5);  // 525 of 528
  CHECK(splits(132, 1000, 132) == 1);
  CHECK(splits(1'000'000, 1000, 132) == 1);
  CHECK(splits(0, 1000, 132) == 1);
}

TEST_CASE("few keys are not split") {
  CHECK(splits(1, 4, 132) == 1);
  CHECK(splits(1, 5, 132) == 5);
  CHECK(splits(1, 0, 132) == 1);
}

TEST_CASE("the fewest parts that use 85 % of the blocks are taken") {
  CHECK(splits(8, 1000, 132) == 15);     // 120 of 132
  CHECK(splits(64, 1000, 132) == 2);     // 128 of 132
  CHECK(splits(1, 1000, 132) == 125);    // 113 of 9 tiles would leave one empty
  CHECK(splits(1, 10'000, 264) == 108);  // 85 % of the 127 that can be used
  CHECK(splits(3, 7, 132) == 7);         // 21 of 132: 85 % of that are 6, which leave one empty
  // A second wave that is nearly empty, which decode splits and prefill does not.
  CHECK(splits(136, 1000, 132) == 5);  // 680 of 792
  CHECK(splits(136, 1000, 132, false) == 1);
  CHECK(splits(100, 1000, 132, false) == 5);  // 500 of 528
}

// Against all numbers of parts, one by one.
TEST_CASE("the number of parts is the least of the good ones, whatever the problem") {
  testing::RandomSizes random(11);
  for (int i = 0; i < 20'000; ++i) {
    const SplitProblem problem{random.number(1000), random.number(2000), random.number(400),
                               random.number(2) == 1};
    const std::int64_t parts = best_splits(problem);
    const double now = used(problem.items, problem.workers);
    const bool busy = problem.is_decode ? now >= 0.8
                                        : static_cast<double>(problem.items) >=
                                              0.8 * static_cast<double>(problem.workers);
    std::int64_t expected = 1;
    if (!busy && problem.key_tiles > 4) {
      const std::int64_t most = std::min({kMaxSplits, problem.key_tiles, problem.workers});
      double best = 0;
      for (std::int64_t p = 1; p <= most; ++p) {
        if (!reaches_every_part(problem.key_tiles, p)) continue;
        best = std::max(best, used(problem.items * p, problem.workers));
      }
      const double target = best >= 0.85 ? 0.85 : 0.85 * best;
      while (!reaches_every_part(problem.key_tiles, expected) ||
             used(problem.items * expected, problem.workers) < target) {
        ++expected;
      }
    }
    if (parts == expected) continue;
    FAIL_CHECK(problem.items << " items, " << problem.key_tiles << " tiles, " << problem.workers
                             << " workers: " << parts << " instead of " << expected);
  }
}

// ---- Of operands ----

// One token of each sequence against so many keys.
Fp8AttentionArgs decode(std::int64_t batch, std::int64_t keys) {
  Fp8AttentionArgs args = testing::paged_fp8_args();
  args.num_sequences = args.num_query_tokens = batch;
  args.max_query_tokens = 1;
  args.max_pages = (keys + 15) / 16;
  args.num_pages = std::min<std::int64_t>(batch * args.max_pages, 1 << 20);
  args.num_heads = 64;
  args.num_kv_heads = 8;
  testing::give_workspace(args);
  return args;
}

std::int64_t parts_of(const Fp8AttentionArgs& args, std::int64_t multiprocessors = 132) {
  return kernels::splits_of(kernels::fp8_attention_operands(kCheck, args), args, multiprocessors);
}

TEST_CASE("decode is split until there is a block on every multiprocessor") {
  CHECK(parts_of(decode(1, 131'072)) == 15);  // 8 items: 120 of 132
  CHECK(parts_of(decode(8, 131'072)) == 2);
  CHECK(parts_of(decode(16, 131'072)) == 1);
  CHECK(parts_of(decode(17, 131'072)) == 5);  // 136 items would leave half of a second wave
  CHECK(parts_of(decode(1, 512)) == 1);
  CHECK(parts_of(decode(1, 131'072), 66) == 8);
  auto few = decode(1, 131'072);
  few.num_workers = 16;
  CHECK(parts_of(few) == 2);
}

TEST_CASE("the longest sequence's length says how many parts there can be") {
  auto args = decode(1, 131'072);
  args.max_key_tokens = 1024;
  CHECK(parts_of(args) == 8);
  args.max_key_tokens = std::int64_t{1} << 30;
  CHECK(parts_of(args) == 15);
  args = testing::fp8_args();
  args.num_query_tokens = 1;
  args.num_sequences = 1;
  args.num_key_tokens = 2000;  // of one sequence, for all that is known
  testing::give_workspace(args);
  CHECK(parts_of(args) == 16);
}

TEST_CASE("prefill is split where it is short") {
  auto args = testing::fp8_args();
  testing::give_workspace(args);
  args.num_sequences = 1;
  args.num_query_tokens = 64;
  args.num_key_tokens = 65'536;
  CHECK(parts_of(args) == 15);  // 512 packed rows of 2 key heads: 8 items of 128 rows
  args.num_query_tokens = 4096;
  CHECK(parts_of(args) == 1);
  // Many sequences, of which nobody says how long the longest is.
  args.num_query_tokens = 100;
  args.num_sequences = 50;
  CHECK(parts_of(args) == 1);
}

TEST_CASE("keys are not split by itself without room, for the same bits, or under a window") {
  auto args = decode(1, 131'072);
  args.workspace = nullptr;
  CHECK(parts_of(args) == 1);
  args = decode(1, 131'072);
  args.invariant = true;
  CHECK(parts_of(args) == 1);
  args = decode(1, 131'072);
  args.window_left = 65'536;
  CHECK(parts_of(args) == 1);
  args = decode(1, 131'072);
  args.causal = false;
  args.window_right = 7;
  CHECK(parts_of(args) == 15);
  args = decode(1, 131'072);
  args.num_splits = 1;
  CHECK(parts_of(args) == 1);
  args.num_splits = 7;
  CHECK(parts_of(args) == 7);
}

TEST_CASE("as many parts are taken as the workspace holds") {
  auto args = decode(1, 131'072);
  const std::int64_t bytes = fp8_attention_workspace_bytes(args);
  CHECK(bytes == 15 * 64 * 128 * 4 + (15 * 64 * 4 + 255) / 256 * 256);
  args.workspace_bytes = bytes;
  CHECK(parts_of(args) == 15);
  args.workspace_bytes = bytes - 1;
  CHECK(parts_of(args) == 14);
  args.workspace_bytes = 64 * 128 * 4 + 256;  // one part is none
  CHECK(parts_of(args) == 1);
  args.workspace_bytes = 0;
  CHECK(parts_of(args) == 1);
}

TEST_CASE("whoever gives the workspace that was asked for gets the parts that were wanted") {
  testing::RandomSizes random(5);
  for (int i = 0; i < 2000; ++i) {
    auto args = decode(random.number(512), random.number(1 << 20));
    args.num_heads = 8 * random.number(16);
    args.head_dim = random.number(2) == 1 ? 64 : 256;
    const std::int64_t multiprocessors = random.number(160);
    const auto operands = kernels::fp8_attention_operands(kCheck, args);
    const std::int64_t wanted = kernels::wanted_splits(operands, args, multiprocessors);
    args.workspace_bytes = fp8_attention_workspace_bytes(args, multiprocessors);
    CHECK(parts_of(args, multiprocessors) == wanted);
    CHECK((args.workspace_bytes == 0) == (wanted == 1));
  }
}

TEST_CASE("a workspace is asked for by the number of parts, and not where there are none") {
  auto args = decode(64, 131'072);
  args.workspace = nullptr;
  args.workspace_bytes = 0;
  CHECK(fp8_attention_workspace_bytes(args) == 0);
  args.num_splits = 3;
  CHECK(fp8_attention_workspace_bytes(args) == 3 * 64 * 64 * (128 + 1) * 4);
  args.num_splits = 1;
  CHECK(fp8_attention_workspace_bytes(args) == 0);
  args.num_splits = 3;
  args.num_query_tokens = 0;
  CHECK(fp8_attention_workspace_bytes(args) == 0);
}

TEST_CASE("parts lie beside each other, LSEs behind them") {
  auto args = testing::fp8_args();
  args.num_query_tokens = 7;
  args.num_heads = args.num_kv_heads = 3;
  args.head_dim = 96;
  const auto operands = kernels::fp8_attention_operands(kCheck, args);
  const kernels::SplitWorkspace parts(operands, 5);
  void* const workspace = testing::somewhere(0x10'0000'0000);
  const auto offset = [&](const float* part) {
    return reinterpret_cast<std::uintptr_t>(part) - 0x10'0000'0000;
  };
  CHECK(offset(parts.outputs(workspace)) == 0);
  CHECK(offset(parts.lses(workspace)) == (5 * 21 * 96 * 4 + 255) / 256 * 256);
  CHECK(parts.bytes() == (5 * 21 * 96 * 4 + 255) / 256 * 256 + (5 * 21 * 4 + 255) / 256 * 256);
  CHECK(parts.output_split_stride() == 21 * 96);
  CHECK(parts.lse_split_stride() == 21);
}

}  // namespace
}  // namespace jit
