// What the blocks of mqa_logits load and clean, by the template's own text on the host: every key
// of every range exactly once, in equal shares, and -inf everywhere else.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <random>
#include <utility>
#include <vector>

#include "grid.hpp"
#include "mqa_logits/clean.cuh"
#include "mqa_logits/loader.cuh"

namespace jit::test {
namespace {

namespace device = cubinet::mqa_logits;
using cubinet::Mbarrier;
using cubinet::mqa::kTileTokens;
using cubinet::mqa::Work;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
template <int BLOCK_Q, bool COMPRESSED>
struct Config {
  static constexpr int kNumHeads = 16;
  static constexpr int kHeadDim = 32;
  static constexpr int kBlockQ = BLOCK_Q;
  static constexpr int kNumStages = 2;
  static constexpr int kNumQueryStages = 2;
  static constexpr int kNumThreads = 384;
  static constexpr bool COMPRESSED_LOGITS = COMPRESSED;
  using LOGITS_TYPE = float;
};
// NOLINTEND(readability-identifier-naming)

// Query tokens and what they see.
struct Case {
  std::vector<int> starts;
  std::vector<int> ends;
  int num_keys = 0;
  int width = 0;
  bool compressed = false;

  int tokens() const { return static_cast<int>(starts.size()); }
  // Keys [first, second) of a token that are to be scored.
  std::pair<int, int> range(int token) const {
    const auto i = static_cast<std::size_t>(token);
    const int begin = std::clamp(starts[i], 0, num_keys);
    int end = std::clamp(ends[i], 0, num_keys);
    end = std::min(end, compressed ? begin + width : width);
    return {begin, std::max(begin, end)};
  }
  int column(int token, int key) const { return compressed ? key - range(token).first : key; }
};

Case random_case(std::mt19937_64& random, bool compressed) {
  const auto below = [&](int bound) {
    return static_cast<int>(random() % static_cast<unsigned>(bound));
  };
  Case made;
  made.num_keys = below(4) == 0 ? below(70) : below(3000);
  made.width = below(3) == 0 ? below(made.num_keys + 9) : made.num_keys + below(9);
  made.compressed = compressed;
  const int tokens = below(30);
  for (int i = 0; i < tokens; ++i) {
    // Of three kinds: near each other, anywhere, empty or beyond all keys.
    const int kind = below(8);
    const int start = kind < 5 ? below(100) - 20 : below(made.num_keys + 100) - 50;
    made.starts.push_back(start);
    made.ends.push_back(kind == 7 ? start - below(50) : start + below(made.num_keys + 50));
  }
  return made;
}

// A map tells its bytes; see emulation/common/tma.cuh.
cubinet::TensorMap map_of(unsigned long long box_bytes) {
  cubinet::TensorMap map{};
  map.words[0] = box_bytes;
  return map;
}

template <class C>
device::Params params_of(const Case& given) {
  device::Params params{};
  params.keys = map_of(kTileTokens * C::kHeadDim);
  params.key_scales = map_of(kTileTokens * sizeof(float));
  params.queries = map_of(C::kNumHeads * C::kHeadDim);
  params.starts = given.starts.data();
  params.ends = given.ends.data();
  params.num_tokens = static_cast<unsigned>(given.tokens());
  params.num_keys = static_cast<unsigned>(given.num_keys);
  params.logits_width = static_cast<unsigned>(given.width);
  return params;
}

// What one block was given to score, as its math warpgroups would read it.
template <class C>
class LoadingBlock {
 public:
  using S = device::Shape<C>;
  explicit LoadingBlock(const device::Params& params)
      : params_(params),
        bytes_(cubinet::mqa::smem_bytes_of(S::kTile)),
        memory_(shared_memory() = bytes_.data()) {
    memory_.init_barriers();
    watch_.arrived = [this](Mbarrier* barrier, unsigned bytes) { arrived(barrier, bytes); };
    watch_.loaded = [this](const void* map, int c0, int c1, void* smem, Mbarrier* barrier) {
      loaded(map, c0, c1, smem, barrier);
    };
  }

  // Runs the loading warp of this block; the others find its part with it.
  void run(unsigned worker, unsigned workers) {
    cubinet::LoadWatch::current() = &watch_;
    Block::run(64, [&] {
      const device::TokenGroups<C> groups{params_,
                                          (params_.num_tokens + C::kBlockQ - 1) / C::kBlockQ};
      const auto part = cubinet::mqa::schedule::find_part<64, 1>(groups, worker, workers, &part_);
      if (threadIdx.x < 32) device::Loader<C>{params_, memory_}.load_all(part);
    });
    cubinet::LoadWatch::current() = nullptr;
    CHECK(ended_);
    CHECK(tiles_left_ == 0);
    CHECK(loads_left_ == 0);
  }

  std::vector<Work> works;  // with the tokens' ranges

 private:
  void arrived(Mbarrier* barrier, unsigned bytes) {
    CHECK(!ended_);
    CHECK(loads_left_ == 0);
    if (barrier == memory_.query_full(query_stage_)) {
      const Work& work = *memory_.work(query_stage_);
      CHECK(tiles_left_ == 0);
      ended_ = work.count < 0;
      if (ended_) return;
      REQUIRE(work.count > 0);
      works.push_back(work);
      tile_ = work.tile;
      tiles_left_ = work.count;
      const int tokens = std::min(C::kBlockQ, static_cast<int>(params_.num_tokens) - work.row);
      CHECK(bytes == static_cast<unsigned>(tokens) * C::kNumHeads * (C::kHeadDim + 4));
      loads_left_ = tokens + 1;
      query_row_ = work.row;
      return;
    }
    CHECK(barrier == memory_.key_full(key_stage_));
    CHECK(bytes == kTileTokens * (C::kHeadDim + 4));
    CHECK(tiles_left_ > 0);
    loads_left_ = 2;
  }

  void loaded(const void* map, int c0, int c1, void* smem, Mbarrier* barrier) {
    --loads_left_;
    if (map == &params_.keys) {
      CHECK(c1 == tile_ * kTileTokens);
      CHECK(smem == memory_.keys(key_stage_));
    } else if (map == &params_.key_scales) {
      CHECK(c0 == tile_ * kTileTokens);
      CHECK(smem == memory_.scales(key_stage_));
    } else if (map == &params_.queries) {
      CHECK(c1 == query_row_ * C::kNumHeads);
      const int token = query_row_ - works.back().row;
      CHECK(smem == memory_.queries(query_stage_) + token * C::kNumHeads * C::kHeadDim);
      ++query_row_;
    } else {
      CHECK(map == params_.weights + works.back().row * C::kNumHeads);
      CHECK(smem == memory_.weights(query_stage_));
    }
    if (loads_left_ != 0) return;
    CHECK(barrier->state == 0);
    if (barrier == memory_.query_full(query_stage_)) {
      query_stage_ = (query_stage_ + 1) % S::kTile.query_stages;
    } else {
      key_stage_ = (key_stage_ + 1) % S::kTile.key_stages;
      ++tile_;
      --tiles_left_;
    }
  }

  const device::Params& params_;
  std::vector<unsigned char> bytes_;
  cubinet::mqa::Memory<S> memory_;
  cubinet::mqa::schedule::FindPartMemory<64> part_{};
  cubinet::LoadWatch watch_;
  int query_stage_ = 0;
  int key_stage_ = 0;
  int tile_ = 0;
  int tiles_left_ = 0;
  int loads_left_ = 0;
  int query_row_ = 0;
  bool ended_ = false;
};

// How often each column of each row is written by the work of all blocks.
struct Coverage {
  explicit Coverage(const Case& given)
      : width(given.width), times(static_cast<std::size_t>(given.tokens() * given.width)) {}
  int width;
  std::vector<int> times;
};

void note_scores(const Case& given, const Work& work, int block_q, Coverage& coverage) {
  for (int i = 0; i < block_q; ++i) {
    const int token = work.row + i;
    if (token >= given.tokens()) {
      CHECK(work.ends[i] == 0);
      continue;
    }
    const int first = std::max(work.tile * kTileTokens, work.begins[i]);
    const int last = std::min((work.tile + work.count) * kTileTokens, work.ends[i]);
    for (int key = first; key < last; ++key) {
      // As the kernel finds it, from the range that travels with the work.
      const int column = given.compressed ? key - work.begins[i] : key;
      REQUIRE(column < given.width);
      ++coverage.times[static_cast<std::size_t>(token * given.width + column)];
    }
  }
}

template <class C>
Coverage score_all(const Case& given, unsigned workers) {
  const device::Params params = params_of<C>(given);
  Coverage coverage(given);
  std::vector<int> splits;
  for (unsigned worker = 0; worker < workers; ++worker) {
    LoadingBlock<C> block(params);
    block.run(worker, workers);
    splits.push_back(0);
    for (const Work& work : block.works) {
      constexpr int kTiles = cubinet::mqa::kTilesPerSplit;
      note_scores(given, work, C::kBlockQ, coverage);
      splits.back() += (work.count + kTiles - 1) / kTiles;
    }
  }
  const auto [least, most] = std::minmax_element(splits.begin(), splits.end());
  CHECK(*most - *least <= 1);
  return coverage;
}

// Columns that were not written as often as they should have been.
int wrong_columns(const Case& given, const Coverage& coverage) {
  int wrong = 0;
  for (int token = 0; token < given.tokens(); ++token) {
    const auto [begin, end] = given.range(token);
    for (int column = 0; column < given.width; ++column) {
      const bool scored = column >= given.column(token, begin) && column < given.column(token, end);
      const int times = coverage.times[static_cast<std::size_t>(token * given.width + column)];
      wrong += times == (scored ? 1 : 0) ? 0 : 1;
    }
  }
  return wrong;
}

template <class C>
void check_division(std::mt19937_64& random, int cases) {
  for (int i = 0; i < cases; ++i) {
    const Case given = random_case(random, C::COMPRESSED_LOGITS);
    CAPTURE(given.starts, given.ends, given.num_keys, given.width, i);
    const unsigned workers = 1 + static_cast<unsigned>(random() % 9);
    CHECK(wrong_columns(given, score_all<C>(given, workers)) == 0);
  }
}

TEST_CASE("blocks of mqa_logits load every key of every range once", "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_division<Config<1, false>>(random, 8);
  check_division<Config<2, true>>(random, 8);
  check_division<Config<4, false>>(random, 8);
  check_division<Config<4, true>>(random, 8);
  check_division<Config<8, true>>(random, 8);
}

TEST_CASE("blocks of mqa_logits without tokens or keys load nothing", "[kernels][emulation]") {
  const auto check_none = [](const Case& given) {
    const Coverage coverage = given.compressed ? score_all<Config<4, true>>(given, 3)
                                               : score_all<Config<4, false>>(given, 3);
    CHECK(std::count(coverage.times.begin(), coverage.times.end(), 0) ==
          static_cast<std::ptrdiff_t>(coverage.times.size()));
  };
  check_none({{}, {}, 100, 100, false});
  check_none({{0, 5}, {9, 9}, 0, 100, false});
  check_none({{0, 5}, {9, 9}, 9, 0, true});
  check_none({{9, 5}, {9, 1}, 9, 9, true});
}

// Rows of `width` columns, then a pad: 0 where nothing was written, 1 for -inf.
template <class C>
std::vector<float> clean_all(const Case& given, int stride, unsigned blocks) {
  device::Params params = params_of<C>(given);
  std::vector<float> logits(static_cast<std::size_t>(given.tokens() * stride + 3));
  params.logits = logits.data() + 3;
  params.logits_stride = stride;
  grid_size().x = blocks;
  for (unsigned block = 0; block < blocks; ++block) {
    Warp::block_index().x = block;
    for (unsigned warp = 0; warp < 3; ++warp) {
      Block::run(32, [&] { device::clean<C>(params, warp); });
    }
  }
  return logits;
}

template <class C>
void check_clean(std::mt19937_64& random, int cases) {
  for (int i = 0; i < cases; ++i) {
    Case given = random_case(random, C::COMPRESSED_LOGITS);
    given.width += static_cast<int>(random() % 3) * 4000;
    const int stride = given.width + static_cast<int>(random() % 5);
    const auto logits = clean_all<C>(given, stride, 1 + static_cast<unsigned>(random() % 4));
    CAPTURE(given.starts, given.ends, given.num_keys, given.width, stride);
    int wrong = 0;
    for (std::size_t at = 0; at < logits.size(); ++at) {
      const int place = static_cast<int>(at) - 3;
      const int token = place < 0 || stride == 0 ? -1 : place / stride;
      bool cleaned = false;
      if (token >= 0 && token < given.tokens() && place % stride < given.width) {
        const auto [begin, end] = given.range(token);
        const int column = place % stride;
        cleaned = column < given.column(token, begin) || column >= given.column(token, end);
      }
      const float expected = cleaned ? -std::numeric_limits<float>::infinity() : 0.0F;
      wrong += logits[at] == expected ? 0 : 1;
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("blocks of mqa_logits clean every column beside the ranges and no other",
          "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_clean<Config<4, false>>(random, 20);
  check_clean<Config<4, true>>(random, 20);
}

// A launch that asks for more waits for ever; fewer would be given away.
TEST_CASE("warpgroups of MQA logits share out the registers that a block comes with",
          "[kernels][emulation]") {
  for (const int math_warpgroups : {2, 3, 4}) {
    CAPTURE(math_warpgroups);
    const int load = cubinet::mqa::load_registers(math_warpgroups);
    const int math = cubinet::mqa::math_registers(math_warpgroups);
    const int entered = 65536 / (128 * (1 + math_warpgroups)) / 8 * 8;
    CHECK(load + math_warpgroups * math == (1 + math_warpgroups) * entered);
    CHECK(load % 8 == 0);
    CHECK(math % 8 == 0);
    CHECK(load >= 24);
    CHECK(math <= 255);
  }
}

}  // namespace
}  // namespace jit::test
