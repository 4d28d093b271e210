// The division of attention's work with windows, parts of the keys, lengths apart from places, and
// pages, as attention_work_test.cpp has it without.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "attention_work_model.hpp"

namespace jit::test {
namespace {

using cubinet::attention::Item;

constexpr int kUnbounded = 1 << 30;

int random_length(std::mt19937_64& random) {
  switch (below(random, 8)) {
    case 0: return 0;
    case 1: return -below(random, 50);
    case 2: return 1;
    case 3: return 64 * below(random, 5) + below(random, 3) - 1;
    case 4: return 1 + below(random, 20);
    default: return below(random, 300);
  }
}

int random_window(std::mt19937_64& random) {
  constexpr int kWindows[] = {0, 0, 1, 15, 63, 64, 127, kUnbounded};
  return below(random, 3) == 0 ? below(random, 400) : kWindows[below(random, 8)];
}

// Lengths that are not above those in `slots`, but for few.
std::vector<int> random_used(std::mt19937_64& random, const std::vector<int>& slots) {
  std::vector<int> used;
  for (const int slot : slots) used.push_back(slot > 0 ? below(random, slot + 1) : slot);
  return used;
}

template <class Division>
WorkCase random_case(std::mt19937_64& random) {
  constexpr int kCounts[] = {1, 2, 3, 4, 5, 33};
  WorkCase made;
  const int count = kCounts[below(random, 6)];
  for (int i = 0; i < count; ++i) {
    made.queries.push_back(random_length(random));
    made.keys.push_back(below(random, 3) == 0 ? made.queries.back() : random_length(random));
  }
  made.heads_per_kv = 1 + below(random, 3);
  made.heads = made.heads_per_kv * (1 + below(random, 3));
  if (Division::kPerSequence) {
    made.has_pages = below(random, 2) == 0;
    if (below(random, 2) == 0) made.used_queries = random_used(random, made.queries);
    if (made.has_pages || below(random, 2) == 0) made.used_keys = random_used(random, made.keys);
  }
  made.window_left = random_window(random);
  made.window_right = random_window(random);
  if (Division::kSplit) {
    made.num_splits = 1 + below(random, 5);
    made.split_tiles = 1 + below(random, 4);
  }
  return made;
}

template <class Division>
void check_some(std::mt19937_64& random, int cases) {
  using Model = WorkModel<Division>;
  for (int i = 0; i < cases; ++i) {
    const WorkCase given = random_case<Division>(random);
    const auto blocks = static_cast<unsigned>(1 + below(random, 12));
    CAPTURE(given.queries, given.keys, given.used_queries, given.used_keys, given.has_pages);
    CAPTURE(given.heads, given.heads_per_kv, given.window_left, given.window_right, blocks, i);
    CAPTURE(given.num_splits, given.split_tiles);
    Model::check_static(given, blocks);
    Model::check_dynamic(given, blocks);
  }
}

constexpr int kLargeKey = 64 << 10;

TEST_CASE("blocks of attention take what windows show of the keys", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_some<WorkDivision<64, 32, Mask::kWindow, 128>>(random, 6);
  check_some<WorkDivision<128, 96, Mask::kWindow, kLargeKey>>(random, 6);
  check_some<WorkDivision<64, 32, Mask::kCausalWindow, 128>>(random, 6);
  check_some<WorkDivision<16, 64, Mask::kCausalWindow, 128, false, true>>(random, 6);
}

TEST_CASE("blocks of attention take all parts of a row block's keys", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_some<WorkDivision<4, 96, Mask::kNone, 128, true, true>>(random, 3);
  check_some<WorkDivision<16, 32, Mask::kCausal, 128, true, true>>(random, 3);
  check_some<WorkDivision<64, 32, Mask::kCausal, kLargeKey, true>>(random, 3);
  check_some<WorkDivision<8, 64, Mask::kCausalWindow, 128, true, true>>(random, 3);
  check_some<WorkDivision<64, 32, Mask::kWindow, kLargeKey, true, true>>(random, 3);
}

TEST_CASE("blocks of attention take sequences by their lengths, wherever they lie",
          "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_some<WorkDivision<64, 32, Mask::kCausal, 128, false, true>>(random, 6);
  check_some<WorkDivision<128, 96, Mask::kNone, kLargeKey, false, true>>(random, 6);
}

// 1 row of 1000 keys, tiles of 64: 16 tiles in 5 parts of 4.
TEST_CASE("parts of attention's keys lie beside each other, the last has the rest",
          "[kernels][emulation]") {
  using Model = WorkModel<WorkDivision<16, 64, Mask::kCausal, 128, true, true>>;
  WorkCase given{{1}, {1000}, 2, 2};
  given.num_splits = 5;
  given.split_tiles = 4;
  const auto in_parts = [&] {
    std::vector<std::vector<int>> found;
    for (const Item& item : joined(Model::run(given, 1, nullptr))) {
      const auto& work = item.work;
      found.push_back({work.head, work.split, work.first_tile, work.whole_tiles, work.tiles});
    }
    return found;
  };
  using Parts = std::vector<std::vector<int>>;
  CHECK((in_parts() == Parts{{0, 0, 0, 4, 4},
                             {0, 1, 4, 8, 8},
                             {0, 2, 8, 12, 12},
                             {0, 3, 12, 15, 16},
                             {0, 4, 0, 0, 0},
                             {1, 0, 0, 4, 4},
                             {1, 1, 4, 8, 8},
                             {1, 2, 8, 12, 12},
                             {1, 3, 12, 15, 16},
                             {1, 4, 0, 0, 0}}));
  given.heads = given.heads_per_kv = 1;
  given.num_splits = 3;
  CHECK((in_parts() == Parts{{0, 0, 0, 4, 4}, {0, 1, 4, 8, 8}, {0, 2, 8, 15, 16}}));
}

// The window of query i of 4 has 64 keys before its own place and 32 after it, which is i - 3 from
// the end of the keys.
TEST_CASE("a window of attention begins and ends where its queries' places say",
          "[kernels][emulation]") {
  using Model = WorkModel<WorkDivision<4, 32, Mask::kWindow, 128>>;
  WorkCase given{{4}, {164}, 1, 1};
  given.window_left = 64;
  given.window_right = 32;
  const auto work = Model::run(given, 1, nullptr)[0][0].work;
  // Their places are 160 to 163, so that they see from 96 to 99 on; 4 keys of the last tile.
  CHECK(work.first_tile == 3);
  CHECK(work.first_whole == 4);
  CHECK(work.whole_tiles == 5);
  CHECK(work.tiles == 6);
}

TEST_CASE("windows of attention as wide as they can be do not overflow", "[kernels][emulation]") {
  constexpr int kMost = 2147483647;
  constexpr int kLarge = 1 << 30;
  using Model = WorkModel<WorkDivision<kLarge, kLarge, Mask::kWindow, 1>>;
  for (const auto& [queries, keys] : {std::pair{kMost - 9, 0}, std::pair{1, kMost - 9},
                                      std::pair{kMost - 9, kMost - 9}, std::pair{kMost - 9, 5}}) {
    WorkCase given{{queries}, {keys}, 1, 1};
    given.window_left = given.window_right = kUnbounded;
    CAPTURE(queries, keys);
    std::vector<std::vector<int>> expected;
    std::vector<std::vector<int>> found;
    for (const Item& item : joined(Model::run(given, 1, nullptr))) {
      const auto& work = item.work;
      const std::int64_t first = std::int64_t{work.row} - Model::kFirstQuery + keys - queries;
      const auto seen = [&](std::int64_t place, std::int64_t to) {
        return std::clamp(place + to, std::int64_t{0}, std::int64_t{keys});
      };
      const std::int64_t last = first + work.rows - 1;
      const auto end = (seen(last, std::int64_t{kUnbounded} + 1) + kLarge - 1) / kLarge;
      expected.push_back(
          {static_cast<int>(seen(first, -kUnbounded) / kLarge), static_cast<int>(end)});
      if (expected.back()[0] >= end) expected.back() = {0, 0};
      found.push_back({work.first_tile, work.tiles});
    }
    CHECK(found.size() == (queries > 1 ? 2 : 1));
    CHECK((found == expected));
  }
}

}  // namespace
}  // namespace jit::test
