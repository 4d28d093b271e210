// The division of attention's work by its own text on the host: every row of every head once, with
// the keys that it sees, whatever the batch and the grid.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <utility>
#include <vector>

#include "attention_work_model.hpp"

namespace jit::test {
namespace {

using cubinet::attention::Item;

template <int BLOCK_M, int BLOCK_N, bool CAUSAL, int KEY_VALUE_BYTES>
using Plain = WorkModel<
    WorkDivision<BLOCK_M, BLOCK_N, CAUSAL ? Mask::kCausal : Mask::kNone, KEY_VALUE_BYTES>>;

int random_length(std::mt19937_64& random) {
  switch (below(random, 8)) {
    case 0: return 0;
    case 1: return 1;
    case 2: return 127 + below(random, 3);
    case 3: return below(random, 900);
    case 4: return -below(random, 400);
    default: return below(random, 300);
  }
}

WorkCase random_case(std::mt19937_64& random) {
  constexpr int kCounts[] = {0, 1, 1, 2, 5, 31, 32, 33, 64, 70};
  WorkCase made;
  const int count = kCounts[below(random, 10)];
  for (int i = 0; i < count; ++i) {
    made.queries.push_back(random_length(random));
    made.keys.push_back(below(random, 2) == 0 ? made.queries.back() : random_length(random));
  }
  constexpr int kRatios[] = {1, 1, 2, 3, 4};
  made.heads_per_kv = kRatios[below(random, 5)];
  made.heads = made.heads_per_kv * (1 + below(random, 6));
  return made;
}

template <int BLOCK_M, int BLOCK_N, bool CAUSAL, int KEY_VALUE_BYTES>
void check_some(std::mt19937_64& random, int cases) {
  using P = Plain<BLOCK_M, BLOCK_N, CAUSAL, KEY_VALUE_BYTES>;
  for (int i = 0; i < cases; ++i) {
    const WorkCase given = random_case(random);
    const auto blocks = static_cast<unsigned>(1 + below(random, 20));
    CAPTURE(given.queries, given.keys, given.heads, given.heads_per_kv, blocks, i);
    P::check_static(given, blocks);
    P::check_dynamic(given, blocks);
  }
}

// A key of this many bytes makes sections of few heads of short sequences.
constexpr int kLargeKey = 64 << 10;

TEST_CASE("blocks of attention take every row block of every head once", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_some<128, 128, true, 640>(random, 6);
  check_some<128, 128, true, kLargeKey>(random, 6);
  check_some<128, 176, false, kLargeKey>(random, 6);
  check_some<64, 80, true, kLargeKey>(random, 6);
  check_some<192, 96, false, 640>(random, 6);
}

TEST_CASE("a batch of attention without rows has no items, and gives the counters back",
          "[kernels][emulation]") {
  for (const WorkCase& given :
       {WorkCase{{}, {}, 4, 1}, WorkCase{{0}, {5}, 4, 1}, WorkCase{{-3, 0}, {2, 2}, 4, 2},
        WorkCase{std::vector<int>(32, 0), std::vector<int>(32, 9), 2, 1},
        WorkCase{std::vector<int>(65, 0), std::vector<int>(65, 9), 2, 1}}) {
    CAPTURE(given.queries, given.keys);
    Plain<128, 128, true, 640>::check_static(given, 3);
    Plain<128, 128, true, 640>::check_dynamic(given, 3);
    Plain<128, 128, false, 640>::check_dynamic(given, 1);
  }
}

TEST_CASE("a row of attention that sees no key is done all the same", "[kernels][emulation]") {
  // The first 200 queries of the first see nothing; the second has no keys at all.
  const WorkCase given{{300, 5}, {100, 0}, 2, 1};
  Plain<128, 128, true, 640>::check_static(given, 2);
  Plain<128, 128, true, 640>::check_dynamic(given, 2);
  const auto taken = Plain<128, 128, true, 640>::run(given, 1, nullptr);
  CHECK(std::count_if(taken[0].begin(), taken[0].end(),
                      [](const Item& item) { return item.work.tiles == 0; }) == 4);
}

TEST_CASE("blocks of attention take pairs if the first sequences have more items than there are",
          "[kernels][emulation]") {
  using P = Plain<128, 128, true, 640>;
  WorkCase given{std::vector<int>(32, 1), std::vector<int>(32, 1), 1, 1};
  given.queries.push_back(4500);
  given.keys.push_back(4500);
  // 32 items, then 36.
  for (const auto& [blocks, paired] : {std::pair{32U, false}, std::pair{31U, true}}) {
    CAPTURE(blocks);
    P::check_static(given, blocks);
    // One of a short sequence, then a unit of the long one.
    CHECK(P::run(given, blocks, nullptr)[4].size() == (paired ? 3 : 2));
  }
}

// 16 heads of 640 bytes a key: 8 of them have 32 MiB at 6553 keys, 4 at 13107.
TEST_CASE("heads of attention pass in sections that the L2 holds", "[kernels][emulation]") {
  using P = Plain<128, 128, true, 640>;
  for (const auto& [keys, section] :
       {std::pair{3276, 16}, std::pair{3277, 8}, std::pair{6553, 8}, std::pair{6554, 4},
        std::pair{13107, 4}, std::pair{13108, 2}, std::pair{52428, 1}, std::pair{600'000, 1}}) {
    const WorkCase given{{256}, {keys}, 16, 1};
    CAPTURE(keys);
    const auto items = joined(P::run(given, 64, nullptr));
    REQUIRE(items.size() == 32);
    for (int i = 0; i < section; ++i) {
      CHECK(items[static_cast<std::size_t>(i)].work.head == i);
      CHECK(items[static_cast<std::size_t>(i)].work.row == P::kFirstQuery + 128);
    }
    const auto& after = items[static_cast<std::size_t>(section)].work;
    CHECK(after.head == 0);
    CHECK(after.row == P::kFirstQuery);
  }
}

}  // namespace
}  // namespace jit::test
