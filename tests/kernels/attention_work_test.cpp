// The division of attention's work by its own text on the host: every row of every head once, with
// the keys that it sees, whatever the batch and the grid.
#include <algorithm>
#include <array>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <utility>
#include <vector>

#include "grid.hpp"  // first: what device code needs

#include "attention_shared/work.cuh"

namespace jit::test {
namespace {

using cubinet::attention::Item;

// Sequences by their lengths; such as are below 0 lie backwards.
struct Case {
  std::vector<int> queries;
  std::vector<int> keys;
  int heads = 1;
  int heads_per_kv = 1;
};

std::vector<int> places_of(const std::vector<int>& lengths, int first) {
  std::vector<int> places{first};
  for (const int length : lengths) places.push_back(places.back() + length);
  return places;
}

using Fields = std::array<int, 10>;

Fields fields_of(const Item& item) {
  const auto& work = item.work;
  return {work.tiles, work.whole_tiles, work.row,        work.rows,    work.head,
          work.keys,  work.diagonal,    work.first_tile, work.kv_head, item.first_key};
}

std::vector<Fields> fields_of(const std::vector<Item>& items) {
  std::vector<Fields> fields;
  for (const Item& item : items) fields.push_back(fields_of(item));
  return fields;
}

// What is right, by counting: one row and one key at a time where it matters.
template <int BLOCK_M, int BLOCK_N, bool CAUSAL, int KEY_VALUE_BYTES>
struct Plain {
  using Source = cubinet::attention::WorkSource<BLOCK_M, BLOCK_N, CAUSAL, KEY_VALUE_BYTES>;

  static int keys_seen(int queries, int keys, int query) {
    if (!CAUSAL) return keys;
    return std::clamp(query + 1 + keys - queries, 0, keys);
  }

  static Item item_of(const Case& given, std::size_t sequence, int row, int head) {
    const int queries = given.queries[sequence];
    const int keys = std::max(given.keys[sequence], 0);
    Item item{};
    item.work.row = row;
    item.work.rows = std::min(BLOCK_M, queries - row);
    item.work.head = head;
    item.work.keys = keys;
    item.work.diagonal = row + 1 + keys - queries;
    item.work.kv_head = head / given.heads_per_kv;
    for (int tile = 0; tile * BLOCK_N < keys; ++tile) {
      bool any = false;
      bool all = true;
      for (int r = 0; r < item.work.rows; ++r) {
        const int seen = keys_seen(queries, keys, row + r);
        any = any || seen > tile * BLOCK_N;
        all = all && seen >= (tile + 1) * BLOCK_N;
      }
      item.work.tiles += any ? 1 : 0;
      if (all && item.work.whole_tiles == tile) ++item.work.whole_tiles;
    }
    return item;
  }

  static int section_of(const Case& given, std::size_t sequence) {
    int section = 1;
    const auto fits = [&](int kv_heads) {
      return std::int64_t{1} * std::max(given.keys[sequence], 0) * kv_heads * KEY_VALUE_BYTES <=
             std::int64_t{32} << 20;
    };
    while (section < given.heads && fits(section * 2)) section *= 2;
    return section * given.heads_per_kv;
  }

  // All items in their order, those of a pair together if `paired`.
  static std::vector<std::vector<Item>> units_of(const Case& given, bool paired) {
    std::vector<std::vector<Item>> units;
    const auto query_places = places_of(given.queries, kFirstQuery);
    const auto key_places = places_of(given.keys, kFirstKey);
    for (std::size_t s = 0; s < given.queries.size(); ++s) {
      const int section = section_of(given, s);
      const int blocks = (std::max(given.queries[s], 0) + BLOCK_M - 1) / BLOCK_M;
      const auto make = [&](int block, int head) {
        Item item = item_of(given, s, block * BLOCK_M, head);
        item.work.row += query_places[s];
        item.first_key = key_places[s];
        return item;
      };
      for (int first = 0; first < given.heads; first += section) {
        const int end = std::min(first + section, given.heads);
        for (int block = blocks - 1; block >= (paired ? blocks / 2 : 0); --block) {
          for (int head = first; head < end; ++head) {
            units.push_back({make(block, head)});
            const int other = blocks - 1 - block;
            if (paired && other != block) units.back().push_back(make(other, head));
          }
        }
      }
    }
    return units;
  }

  // What each block of a grid takes, together in time, at a pace of their own.
  static std::vector<std::vector<Item>> run(const Case& given, unsigned blocks,
                                            unsigned* counters) {
    const auto query_places = places_of(given.queries, kFirstQuery);
    const auto key_places = places_of(given.keys, kFirstKey);
    std::vector<std::vector<Item>> taken(blocks);
    std::vector<unsigned> paces;
    std::mt19937_64 random(Catch::getSeed());
    for (unsigned i = 0; i < blocks; ++i) paces.push_back(static_cast<unsigned>(random() % 5));
    grid_size().x = blocks;
    Block::run(blocks * kLanes, [&] {
      const unsigned block = threadIdx.x / kLanes;
      const bool is_first = threadIdx.x % kLanes == 0;
      Warp::block_index().x = block;
      Source source({query_places.data(), key_places.data(), counters,
                     static_cast<int>(given.queries.size()), given.heads, given.heads_per_kv});
      Item item{};
      while (source.next(item)) {
        if (is_first) taken[block].push_back(item);
        for (unsigned i = 0; i < paces[block]; ++i) __syncwarp();
      }
    });
    return taken;
  }

  static constexpr int kFirstQuery = 5;
  static constexpr int kFirstKey = 9;
};

std::vector<Item> joined(const std::vector<std::vector<Item>>& parts) {
  std::vector<Item> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

template <class P>
void check_static(const Case& given, unsigned blocks, bool causal) {
  // The first 32 sequences decide.
  Case first = given;
  first.keys.resize(std::min<std::size_t>(first.keys.size(), kLanes));
  first.queries.resize(std::min<std::size_t>(first.queries.size(), kLanes));
  const bool paired = causal && P::units_of(first, false).size() > blocks;
  const auto units = P::units_of(given, paired);
  const auto taken = P::run(given, blocks, nullptr);
  for (unsigned block = 0; block < blocks; ++block) {
    std::vector<Item> expected;
    for (std::size_t unit = block; unit < units.size(); unit += blocks) {
      expected.insert(expected.end(), units[unit].begin(), units[unit].end());
    }
    CAPTURE(block, paired);
    CHECK((fields_of(taken[block]) == fields_of(expected)));
  }
}

template <class P>
void check_dynamic(const Case& given, unsigned blocks) {
  const auto expected = joined(P::units_of(given, false));
  unsigned counters[2] = {0, 0};
  // Twice: the counters are as they were found.
  for (int launch = 0; launch < 2; ++launch) {
    const auto taken = P::run(given, blocks, counters);
    CHECK(counters[0] == 0);
    CHECK(counters[1] == 0);
    const auto all = fields_of(expected);
    std::vector<int> times(all.size());
    for (unsigned block = 0; block < blocks; ++block) {
      std::size_t at = 0;  // a block's numbers ascend
      for (std::size_t i = 0; i < taken[block].size(); ++i) {
        const auto one = fields_of(taken[block][i]);
        if (i == 0) CHECK((one == all[block]));
        const auto found = std::find(all.begin() + static_cast<std::ptrdiff_t>(at), all.end(), one);
        REQUIRE((found != all.end()));
        at = static_cast<std::size_t>(found - all.begin());
        ++times[at];
      }
    }
    CHECK(std::count(times.begin(), times.end(), 1) == static_cast<std::ptrdiff_t>(times.size()));
  }
}

int below(std::mt19937_64& random, int bound) {
  return static_cast<int>(random() % static_cast<unsigned>(bound));
}

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

Case random_case(std::mt19937_64& random) {
  constexpr int kCounts[] = {0, 1, 1, 2, 5, 31, 32, 33, 64, 70};
  Case made;
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
    const Case given = random_case(random);
    const auto blocks = static_cast<unsigned>(1 + below(random, 20));
    CAPTURE(given.queries, given.keys, given.heads, given.heads_per_kv, blocks, i);
    check_static<P>(given, blocks, CAUSAL);
    check_dynamic<P>(given, blocks);
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
  for (const Case& given : {Case{{}, {}, 4, 1}, Case{{0}, {5}, 4, 1}, Case{{-3, 0}, {2, 2}, 4, 2},
                            Case{std::vector<int>(32, 0), std::vector<int>(32, 9), 2, 1},
                            Case{std::vector<int>(65, 0), std::vector<int>(65, 9), 2, 1}}) {
    CAPTURE(given.queries, given.keys);
    check_static<Plain<128, 128, true, 640>>(given, 3, true);
    check_dynamic<Plain<128, 128, true, 640>>(given, 3);
    check_dynamic<Plain<128, 128, false, 640>>(given, 1);
  }
}

TEST_CASE("a row of attention that sees no key is done all the same", "[kernels][emulation]") {
  // The first 200 queries of the first see nothing; the second has no keys at all.
  const Case given{{300, 5}, {100, 0}, 2, 1};
  check_static<Plain<128, 128, true, 640>>(given, 2, true);
  check_dynamic<Plain<128, 128, true, 640>>(given, 2);
  const auto taken = Plain<128, 128, true, 640>::run(given, 1, nullptr);
  CHECK(std::count_if(taken[0].begin(), taken[0].end(),
                      [](const Item& item) { return item.work.tiles == 0; }) == 4);
}

TEST_CASE("blocks of attention take pairs if the first sequences have more items than there are",
          "[kernels][emulation]") {
  using P = Plain<128, 128, true, 640>;
  Case given{std::vector<int>(32, 1), std::vector<int>(32, 1), 1, 1};
  given.queries.push_back(4500);
  given.keys.push_back(4500);
  // 32 items, then 36.
  for (const auto& [blocks, paired] : {std::pair{32U, false}, std::pair{31U, true}}) {
    CAPTURE(blocks);
    check_static<P>(given, blocks, true);
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
    const Case given{{256}, {keys}, 16, 1};
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
