// The whole kernel by its own text on the host, block by block: every barrier, copy, transposition,
// product and store, with copies and products as early and as late as they may be. What only a GPU
// has (its approximations, sums of few bits, registers, the memory model) is for tests/gpu.
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include "fp8_attention_emulation.hpp"

namespace jit::test::fp8_on_host {
namespace {

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
struct Plain {
  static constexpr int kHeadDim = 128;
  static constexpr int kHeadDimV = 128;
  static constexpr int kAccumInterval = 1;
  static constexpr bool CAUSAL = true;
  static constexpr bool WINDOW = false;
  static constexpr bool SOFTCAP = false;
  static constexpr bool SINKS = false;
  static constexpr int kPackGqa = 1;
  static constexpr int kPageRows = 0;
  static constexpr bool SPLIT = false;
  static constexpr bool USE_FP8_OUTPUT = false;
  static constexpr bool kInvariant = false;
  static constexpr bool PROGRAMMATIC_DEPENDENT_LAUNCH = true;
  static constexpr int kNumThreads = 384;
  static constexpr int kBlockN = 128;
  static constexpr int kChunk = 128;
  static constexpr int kNumStages = 2;
  static constexpr int kValueStages = 1;
  static constexpr int kMinBlocks = 1;
  static constexpr bool OVERLAP = false;
};
// Decode from small pages, in parts.
struct Decode : Plain {
  static constexpr int kPackGqa = 8;
  static constexpr int kPageRows = 1;
  static constexpr bool SPLIT = true;
  static constexpr bool SINKS = true;
  static constexpr int kNumThreads = 256;
  static constexpr int kChunk = 64;
  static constexpr bool OVERLAP = true;
};
struct Small : Plain {
  static constexpr int kHeadDim = 64;
  static constexpr int kHeadDimV = 64;
  static constexpr int kPackGqa = 8;
  static constexpr int kNumThreads = 256;
  static constexpr int kBlockN = 160;
  static constexpr int kChunk = 64;
  static constexpr int kValueStages = 2;
  static constexpr bool OVERLAP = true;
};
struct SmallPages : Small {
  static constexpr int kPackGqa = 4;
  static constexpr int kPageRows = 16;
  static constexpr bool OVERLAP = false;
};
struct Window : Small {
  static constexpr bool CAUSAL = false;
  static constexpr bool WINDOW = true;
  static constexpr bool SOFTCAP = true;
  static constexpr int kPackGqa = 1;
  static constexpr int kAccumInterval = 0;
};
struct OneStage : Plain {
  static constexpr bool WINDOW = true;
  static constexpr bool OVERLAP = true;
  static constexpr int kNumStages = 1;
};
// Three slabs of a head, in chunks.
struct Narrow : Plain {
  static constexpr int kHeadDim = 96;
  static constexpr int kHeadDimV = 96;
  static constexpr int kBlockN = 160;
  static constexpr int kChunk = 32;
  static constexpr int kPageRows = 4;
};
struct Wide : Plain {
  static constexpr int kHeadDim = 192;
  static constexpr bool CAUSAL = false;
  static constexpr int kAccumInterval = 3;
  static constexpr int kNumThreads = 256;
};
// NOLINTEND(readability-identifier-naming)

template <class C>
void check_always(const Case& given) {
  std::mt19937_64 random(Catch::getSeed());
  for (const bool late_copies : {false, true}) {
    for (const bool late_products : {false, true}) {
      CAPTURE(given.queries, given.keys, given.heads, late_copies, late_products);
      Launch<C> launch(given, random);
      REQUIRE_NOTHROW(launch.run({late_copies, late_products}));
      for (int split = 0; split < given.splits; ++split) {
        const auto check = launch.check(split);
        CAPTURE(split, check.text(), check.first_failure);
        CHECK(check.passed());
      }
      CHECK(launch.counters_are_back());
    }
  }
}

TEST_CASE("fp8_attention's text gives what attention is, whenever copies and products happen",
          "[kernels][emulation]") {
  check_always<Plain>({{130, 5}, {300, 5}, 2, 2, 2});
  check_always<Plain>({{100, 0, 64}, {30, 7, 129}, 1, 1, 1, false});
  check_always<Small>({{9, 1, 20}, {170, 0, 15}, 8, 8, 2});
  check_always<OneStage>({.queries = {140, 20},
                          .keys = {270, 500},
                          .heads = 1,
                          .blocks = 1,
                          .has_counters = false,
                          .window_left = 50});
  check_always<Window>(
      {.queries = {70, 9}, .keys = {350, 0}, .heads = 2, .window_left = 30, .window_right = 100});
  check_always<Wide>({.queries = {66}, .keys = {700}, .heads = 1, .blocks = 1});
}

TEST_CASE("fp8_attention's text reads pages and writes parts", "[kernels][emulation]") {
  check_always<SmallPages>({.queries = {40, 1, 3},
                            .keys = {170, 333, 0},
                            .heads = 8,
                            .heads_per_kv = 4,
                            .page_size = 48});
  check_always<Narrow>({.queries = {129}, .keys = {250}, .heads = 1, .blocks = 1, .page_size = 12});
  check_always<Decode>({.queries = {1, 2, 8},
                        .keys = {650, 120, 0},
                        .heads = 16,
                        .heads_per_kv = 16,
                        .blocks = 3,
                        .splits = 3,
                        .split_tiles = 2,
                        .page_size = 11});
}

// Parts of tokens with fewer keys than queries, one of them with a window beyond which are none.
TEST_CASE("fp8_attention's text bears windows of any width", "[kernels][emulation]") {
  for (const auto& [left, right] : {std::pair{1 << 30, 3}, {0, 1 << 30}, {1 << 30, 1 << 30}}) {
    check_always<Window>({.queries = {90, 3},
                          .keys = {40, 170},
                          .heads = 1,
                          .blocks = 1,
                          .window_left = left,
                          .window_right = right});
  }
}

TEST_CASE("fp8_attention's text bears scores as large as they may be, and none",
          "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  for (const float factor : {0.0F, 0x1p-140F, 0x1p12F, 0x1p20F}) {
    Launch<Plain> launch({{70}, {200}, 1, 1, 1}, random);
    launch.multiply_queries(factor);
    REQUIRE_NOTHROW(launch.run({}));
    const auto check = launch.check(0);
    CAPTURE(factor, check.text(), check.first_failure);
    CHECK(check.wrong + check.wrong_rows + check.wrong_lse == 0);
  }
}

}  // namespace
}  // namespace jit::test::fp8_on_host
