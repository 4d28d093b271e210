// What the division of attention's work must be, by counting, and what blocks take by the text of
// kernel_templates/attention_shared/work.cuh on the host.
#pragma once

#include <algorithm>
#include <array>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include "grid.hpp"  // first: what device code needs

#include "attention_shared/work.cuh"

namespace jit::test {

enum class Mask { kNone, kCausal, kWindow, kCausalWindow };

template <int BLOCK_QUERIES, int BLOCK_KEYS, Mask MASK, int KEY_VALUE_BYTES, bool SPLIT = false,
          bool PER_SEQUENCE = false>
struct WorkDivision {
  static constexpr int kBlockQueries = BLOCK_QUERIES;
  static constexpr int kBlockKeys = BLOCK_KEYS;
  static constexpr int kKeyValueBytes = KEY_VALUE_BYTES;
  static constexpr bool kCausal = MASK == Mask::kCausal || MASK == Mask::kCausalWindow;
  static constexpr bool kWindow = MASK == Mask::kWindow || MASK == Mask::kCausalWindow;
  static constexpr bool kSplit = SPLIT;
  static constexpr bool kPerSequence = PER_SEQUENCE;
};

// Sequences by their lengths; such as are below 0 lie backwards.
struct WorkCase {
  std::vector<int> queries;
  std::vector<int> keys;
  int heads = 1;
  int heads_per_kv = 1;
  std::vector<int> used_queries = {};  // the lengths instead, if there are any
  std::vector<int> used_keys = {};
  bool has_pages = false;  // then no sequence has a place among all keys
  int window_left = 0;
  int window_right = 0;
  int num_splits = 1;
  int split_tiles = 1;

  int queries_of(std::size_t sequence) const {
    return std::max((used_queries.empty() ? queries : used_queries)[sequence], 0);
  }
  int keys_of(std::size_t sequence) const {
    return std::max((used_keys.empty() ? keys : used_keys)[sequence], 0);
  }
  // Of the first sequences only.
  WorkCase first(std::size_t count) const {
    WorkCase cut = *this;
    for (auto* lengths : {&cut.queries, &cut.keys, &cut.used_queries, &cut.used_keys}) {
      lengths->resize(std::min(lengths->size(), count));
    }
    return cut;
  }
};

inline std::vector<int> places_of(const std::vector<int>& lengths, int first) {
  std::vector<int> places{first};
  for (const int length : lengths) places.push_back(places.back() + length);
  return places;
}

using WorkFields = std::array<int, 13>;

inline WorkFields fields_of(const cubinet::attention::Item& item) {
  const auto& work = item.work;
  return {work.tiles,    work.whole_tiles, work.row,      work.rows,       work.head,
          work.keys,     work.diagonal,    work.kv_head,  work.first_tile, work.first_whole,
          work.sequence, work.split,       item.first_key};
}

inline std::vector<WorkFields> fields_of(const std::vector<cubinet::attention::Item>& items) {
  std::vector<WorkFields> fields;
  for (const auto& item : items) fields.push_back(fields_of(item));
  return fields;
}

inline std::vector<cubinet::attention::Item> joined(
    const std::vector<std::vector<cubinet::attention::Item>>& parts) {
  std::vector<cubinet::attention::Item> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// What is right, by counting: one row and one tile at a time.
template <class Division>
struct WorkModel {
  using Item = cubinet::attention::Item;
  static constexpr int kBlockQueries = Division::kBlockQueries;
  static constexpr std::int64_t kBlockKeys = Division::kBlockKeys;
  static constexpr int kFirstQuery = 5;
  static constexpr int kFirstKey = 9;

  struct Range {
    std::int64_t begin;
    std::int64_t end;
  };
  static Range seen_by(const WorkCase& given, std::size_t sequence, std::int64_t query) {
    const std::int64_t keys = given.keys_of(sequence);
    const std::int64_t place = query + keys - given.queries_of(sequence);
    Range seen{0, keys};
    if (Division::kWindow) {
      seen.begin = std::clamp(place - given.window_left, std::int64_t{0}, keys);
      seen.end = std::clamp(place + given.window_right + 1, std::int64_t{0}, keys);
    }
    if (Division::kCausal) seen.end = std::clamp(place + 1, std::int64_t{0}, keys);
    return seen;
  }

  static void find_tiles(const WorkCase& given, std::size_t sequence, int row,
                         cubinet::attention::Work& work) {
    std::vector<int> tiles;
    bool is_end_whole = true;
    const bool is_last = !Division::kSplit || work.split == given.num_splits - 1;
    const std::int64_t begin = std::int64_t{work.split} * given.split_tiles;
    for (std::int64_t tile = begin; tile * kBlockKeys < given.keys_of(sequence); ++tile) {
      if (!is_last && tile >= begin + given.split_tiles) break;
      bool any = false;
      bool to_end = true;
      bool from_begin = true;
      for (int r = 0; r < work.rows; ++r) {
        const Range seen = seen_by(given, sequence, row + r);
        any = any || (seen.begin < (tile + 1) * kBlockKeys && seen.end > tile * kBlockKeys &&
                      seen.begin < seen.end);
        to_end = to_end && seen.end >= (tile + 1) * kBlockKeys;
        from_begin = from_begin && seen.begin <= tile * kBlockKeys;
      }
      if (!any) continue;
      const int number = static_cast<int>(tile);
      if (tiles.empty()) work.first_tile = work.whole_tiles = work.first_whole = number;
      tiles.push_back(number);
      is_end_whole = is_end_whole && to_end;
      if (is_end_whole) work.whole_tiles = number + 1;
      if (!from_begin) work.first_whole = number + 1;
    }
    work.tiles = tiles.empty() ? 0 : tiles.back() + 1;
    // They are one run of tiles.
    REQUIRE(work.tiles - work.first_tile == static_cast<int>(tiles.size()));
  }

  static Item item_of(const WorkCase& given, std::size_t sequence, int row, int head, int split) {
    const int queries = given.queries_of(sequence);
    Item item{};
    item.work.row = row;
    item.work.rows = std::min(kBlockQueries, queries - row);
    item.work.head = head;
    item.work.keys = given.keys_of(sequence);
    item.work.diagonal = row + 1 + item.work.keys - queries;
    item.work.kv_head = head / given.heads_per_kv;
    item.work.sequence = Division::kPerSequence ? static_cast<int>(sequence) : 0;
    item.work.split = split;
    find_tiles(given, sequence, row, item.work);
    return item;
  }

  static int section_of(const WorkCase& given, std::size_t sequence) {
    int section = 1;
    const auto fits = [&](int kv_heads) {
      return std::int64_t{1} * given.keys_of(sequence) * kv_heads * Division::kKeyValueBytes <=
             std::int64_t{32} << 20;
    };
    while (section < given.heads && fits(section * 2)) section *= 2;
    return section * given.heads_per_kv;
  }

  // All items in their order, those of a pair together if `paired`.
  static std::vector<std::vector<Item>> units_of(const WorkCase& given, bool paired) {
    std::vector<std::vector<Item>> units;
    const auto query_places = places_of(given.queries, kFirstQuery);
    const auto key_places = places_of(given.keys, kFirstKey);
    for (std::size_t s = 0; s < given.queries.size(); ++s) {
      const int section = section_of(given, s);
      const int blocks = (given.queries_of(s) + kBlockQueries - 1) / kBlockQueries;
      const auto make = [&](int block, int head, int split) {
        Item item = item_of(given, s, block * kBlockQueries, head, split);
        item.work.row += query_places[s];
        item.first_key = given.has_pages ? 0 : key_places[s];
        return item;
      };
      // `turn` counts parts of heads of row blocks of a section.
      for (int first = 0; first < given.heads; first += section) {
        const int heads = std::min(section, given.heads - first);
        const int turns = (paired ? (blocks + 1) / 2 : blocks) * heads * given.num_splits;
        for (int turn = 0; turn < turns; ++turn) {
          const int split = turn % given.num_splits;
          const int head = first + turn / given.num_splits % heads;
          const int other = turn / given.num_splits / heads;
          const int block = blocks - 1 - other;
          units.push_back({make(block, head, split)});
          if (paired && other != block) units.back().push_back(make(other, head, split));
        }
      }
    }
    return units;
  }

  // What each block of a grid takes, together in time, at a pace of their own.
  static std::vector<std::vector<Item>> run(const WorkCase& given, unsigned blocks,
                                            unsigned* counters) {
    const auto query_places = places_of(given.queries, kFirstQuery);
    const auto key_places = places_of(given.keys, kFirstKey);
    const cubinet::attention::Batch batch{
        query_places.data(),
        given.has_pages ? nullptr : key_places.data(),
        counters,
        static_cast<int>(given.queries.size()),
        given.heads,
        given.heads_per_kv,
        given.used_queries.empty() ? nullptr : given.used_queries.data(),
        given.used_keys.empty() ? nullptr : given.used_keys.data(),
        given.window_left,
        given.window_right,
        given.num_splits,
        given.split_tiles};
    std::vector<std::vector<Item>> taken(blocks);
    std::vector<unsigned> paces;
    std::mt19937_64 random(Catch::getSeed());
    for (unsigned i = 0; i < blocks; ++i) paces.push_back(static_cast<unsigned>(random() % 5));
    grid_size().x = blocks;
    Block::run(blocks * kLanes, [&] {
      const unsigned block = threadIdx.x / kLanes;
      const bool is_first = threadIdx.x % kLanes == 0;
      Warp::block_index().x = block;
      cubinet::attention::WorkSource<Division> source(batch);
      Item item{};
      while (source.next(item)) {
        if (is_first) taken[block].push_back(item);
        for (unsigned i = 0; i < paces[block]; ++i) __syncwarp();
      }
    });
    return taken;
  }

  static void check_static(const WorkCase& given, unsigned blocks) {
    // The first 32 sequences decide.
    const bool paired = Division::kCausal && !Division::kSplit &&
                        units_of(given.first(kLanes), false).size() > blocks;
    const auto units = units_of(given, paired);
    const auto taken = run(given, blocks, nullptr);
    for (unsigned block = 0; block < blocks; ++block) {
      std::vector<Item> expected;
      for (std::size_t unit = block; unit < units.size(); unit += blocks) {
        expected.insert(expected.end(), units[unit].begin(), units[unit].end());
      }
      CAPTURE(block, paired);
      CHECK((fields_of(taken[block]) == fields_of(expected)));
    }
  }

  // Twice: the counters are as they were found.
  static void check_dynamic(const WorkCase& given, unsigned blocks) {
    const auto all = fields_of(joined(units_of(given, false)));
    unsigned counters[2] = {0, 0};
    for (int launch = 0; launch < 2; ++launch) {
      const auto taken = run(given, blocks, counters);
      CHECK(counters[0] == 0);
      CHECK(counters[1] == 0);
      std::vector<int> times(all.size());
      for (unsigned block = 0; block < blocks; ++block) {
        if (!taken[block].empty()) CHECK((fields_of(taken[block][0]) == all[block]));
        std::size_t at = 0;  // a block's numbers ascend
        for (const WorkFields& one : fields_of(taken[block])) {
          const auto found =
              std::find(all.begin() + static_cast<std::ptrdiff_t>(at), all.end(), one);
          REQUIRE((found != all.end()));
          at = static_cast<std::size_t>(found - all.begin());
          ++times[at];
        }
      }
      CHECK(std::count(times.begin(), times.end(), 1) == static_cast<std::ptrdiff_t>(times.size()));
    }
  }
};

inline int below(std::mt19937_64& random, int bound) {
  return static_cast<int>(random() % static_cast<unsigned>(bound));
}

}  // namespace jit::test
