// What the blocks of paged_mqa_logits load, by the template's own text on the host: every key that
// a query token sees exactly once, by the pages that the block table names and no others.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <vector>

#include "grid.hpp"
#include "paged_mqa_logits/loader.cuh"

namespace jit::test {
namespace {

namespace device = cubinet::paged_mqa_logits;
using cubinet::Mbarrier;
using cubinet::mqa::kTileTokens;
using cubinet::mqa::Work;

// The names are the manifest's. NOLINTBEGIN(readability-identifier-naming)
template <int NEXT_N, int ATOM, int ATOMS, bool PAD, int BLOCK_KV>
struct Config {
  static constexpr int kNextN = NEXT_N;
  static constexpr int kNumHeads = 16;
  static constexpr int kHeadDim = 32;
  static constexpr int kBlockKV = BLOCK_KV;
  static constexpr int kNextNAtom = ATOM;
  static constexpr int kNumNextNAtoms = ATOMS;
  static constexpr bool kPadOddN = PAD;
  static constexpr int kNumStages = 1;
  static constexpr int kNumQueryStages = 2;
  static constexpr int kNumThreads = 384;
  using LOGITS_TYPE = float;
};
// NOLINTEND(readability-identifier-naming)

// A batch: lengths below zero, of nothing, and beyond the longest; -1 where no page is needed.
struct Case {
  int batch = 0;
  int max_len = 0;
  int columns = 0;
  std::vector<int> lens;   // [batch, next_n]
  std::vector<int> table;  // [batch, columns]

  int length(int row) const { return std::clamp(lens[static_cast<std::size_t>(row)], 0, max_len); }
};

constexpr int kPages = 40;

template <class C>
Case random_case(std::mt19937_64& random) {
  const auto below = [&](int bound) {
    return static_cast<int>(random() % static_cast<unsigned>(bound));
  };
  Case made;
  made.batch = below(70);
  made.max_len = below(5) == 0 ? below(3) : 1 + below(5000);
  made.columns = (made.max_len + C::kBlockKV - 1) / C::kBlockKV;
  const int kinds = 1 + below(4);  // 1: nobody sees a key
  for (int request = 0; request < made.batch; ++request) {
    int longest = 0;
    const int kind = below(kinds);
    for (int token = 0; token < C::kNextN; ++token) {
      const int len = kind == 0 ? -below(3) : kind == 1 ? below(200) : below(made.max_len + 300);
      made.lens.push_back(len);
      longest = std::max(longest, std::min(len, made.max_len));
    }
    for (int page = 0; page < made.columns; ++page) {
      made.table.push_back(page * C::kBlockKV < longest ? below(kPages) : -1);
    }
  }
  return made;
}

// One block's loads, and which rows and keys they are for.
template <class C>
class LoadingBlock {
 public:
  using S = device::Shape<C>;
  static constexpr int kKeyBytes = C::kBlockKV * C::kHeadDim;
  static constexpr int kPageBytes = kKeyBytes + C::kBlockKV * 4;

  LoadingBlock(const Case& given, std::vector<int>& times)
      : given_(given),
        times_(times),
        pages_(kPages * kPageBytes),
        weights_(static_cast<std::size_t>(given.batch * C::kNextN * C::kNumHeads)),
        bytes_(cubinet::mqa::smem_bytes_of(S::kTile)),
        memory_(shared_memory() = bytes_.data()) {
    memory_.init_barriers();
    params_.keys.words[0] = kKeyBytes;
    params_.queries.words[0] = C::kNumHeads * C::kHeadDim;
    params_.pages = pages_.data();
    params_.weights = weights_.data();
    params_.context_lens = given.lens.data();
    params_.block_table = given.table.data();
    params_.page_stride = kPageBytes;
    params_.block_table_stride = given.columns;
    params_.batch = static_cast<unsigned>(given.batch);
    params_.max_context_len = static_cast<unsigned>(given.max_len);
    watch_.arrived = [this](Mbarrier* barrier, unsigned bytes) { arrived(barrier, bytes); };
    watch_.loaded = [this](const void* from, int, int page, void* smem, Mbarrier*) {
      loaded(from, page, static_cast<unsigned char*>(smem));
    };
  }

  void run(unsigned worker, unsigned workers) {
    cubinet::LoadWatch::current() = &watch_;
    Block::run(32, [&] {
      const cubinet::mqa::schedule::Lengths lengths{params_.context_lens, params_.batch, C::kNextN,
                                                    params_.max_context_len};
      const auto part = cubinet::mqa::schedule::find_part<32>(lengths, worker, workers, &part_);
      device::Loader<C>{params_, memory_}.load_all(part);
    });
    cubinet::LoadWatch::current() = nullptr;
    CHECK(ended_);
    CHECK(tiles_left_ == 0);
    CHECK(loads_left_ == 0);
  }

 private:
  void arrived(Mbarrier* barrier, unsigned bytes) {
    REQUIRE(!ended_);
    REQUIRE(loads_left_ == 0);
    if (tiles_left_ > 0) {
      const int pages = static_cast<int>(bytes) / kPageBytes;
      REQUIRE(barrier == memory_.key_full(key_stage_));
      REQUIRE(bytes == static_cast<unsigned>(pages * kPageBytes));
      page_ = tile_ * kTileTokens / C::kBlockKV;
      end_page_ = page_ + pages;
      loads_left_ = 2 * pages;
      return;
    }
    REQUIRE(barrier == memory_.query_full(query_stage_));
    const Work& work = *memory_.work(query_stage_);
    ended_ = work.count < 0;
    if (ended_) return;
    REQUIRE(work.count > 0);
    request_ = work.row / C::kNextN;
    const int tokens = std::min(S::kTokens, C::kNextN - work.row % C::kNextN);
    CHECK(bytes == static_cast<unsigned>(tokens) * C::kNumHeads * (C::kHeadDim + 4));
    note_scores(work, tokens);
    tile_ = work.tile;
    tiles_left_ = work.count;
    loads_left_ = tokens + 1;
  }

  void loaded(const void* from, int page, unsigned char* smem) {
    const auto* const bytes = static_cast<const unsigned char*>(from);
    const bool is_scales = bytes >= pages_.data() && bytes < pages_.data() + pages_.size();
    const bool is_keys = from == &params_.keys;
    if (is_keys || is_scales) {
      const auto entry = static_cast<std::size_t>(request_ * given_.columns + page_);
      const int token = page_ * C::kBlockKV % kTileTokens;
      const int number = given_.table[entry];
      REQUIRE(number >= 0);
      if (is_keys) {
        CHECK(page == number);
        CHECK(smem == memory_.keys(key_stage_) + token * C::kHeadDim);
      } else {
        CHECK(bytes == pages_.data() + number * kPageBytes + kKeyBytes);
        CHECK(smem == static_cast<void*>(memory_.scales(key_stage_) + token));
        ++page_;
      }
    } else if (from != &params_.queries) {
      CHECK(from == params_.weights + memory_.work(query_stage_)->row * C::kNumHeads);
    }
    if (--loads_left_ == 0) stage_loaded(is_scales);
  }

  void stage_loaded(bool is_tile) {
    if (!is_tile) {
      query_stage_ = (query_stage_ + 1) % S::kTile.query_stages;
      return;
    }
    CHECK(page_ == end_page_);
    // Every page of the tile that holds a key of the request is there.
    const bool is_whole = page_ == (tile_ + 1) * kTileTokens / C::kBlockKV;
    CHECK((is_whole || longest() <= page_ * C::kBlockKV));
    key_stage_ = (key_stage_ + 1) % S::kTile.key_stages;
    ++tile_;
    --tiles_left_;
  }

  int longest() const {
    int most = 0;
    for (int token = 0; token < C::kNextN; ++token) {
      most = std::max(most, given_.length(request_ * C::kNextN + token));
    }
    return most;
  }

  void note_scores(const Work& work, int tokens) {
    for (int i = 0; i < S::kTokens; ++i) {
      CHECK(work.ends[i] == (i < tokens ? given_.length(work.row + i) : 0));
      const int last = std::min((work.tile + work.count) * kTileTokens, work.ends[i]);
      for (int key = work.tile * kTileTokens; key < last; ++key) {
        ++times_[static_cast<std::size_t>((work.row + i) * given_.max_len + key)];
      }
    }
  }

  const Case& given_;
  std::vector<int>& times_;
  std::vector<unsigned char> pages_;
  std::vector<float> weights_;
  std::vector<unsigned char> bytes_;
  cubinet::mqa::Memory<S> memory_;
  device::Params params_{};
  cubinet::mqa::schedule::FindPartMemory<32> part_{};
  cubinet::LoadWatch watch_;
  int query_stage_ = 0;
  int key_stage_ = 0;
  int request_ = 0;
  int tile_ = 0;
  int tiles_left_ = 0;
  int page_ = 0;
  int end_page_ = 0;
  int loads_left_ = 0;
  bool ended_ = false;
};

template <class C>
void check_division(std::mt19937_64& random, int cases) {
  for (int i = 0; i < cases; ++i) {
    const Case given = random_case<C>(random);
    CAPTURE(i, given.batch, given.max_len, given.lens);
    std::vector<int> times(static_cast<std::size_t>(given.batch * C::kNextN * given.max_len));
    const unsigned workers = 1 + static_cast<unsigned>(random() % 150);
    for (unsigned worker = 0; worker < workers; ++worker) {
      LoadingBlock<C>(given, times).run(worker, workers);
    }
    int wrong = 0;
    for (int row = 0; row < given.batch * C::kNextN; ++row) {
      for (int key = 0; key < given.max_len; ++key) {
        const int seen = key < given.length(row) ? 1 : 0;
        wrong += times[static_cast<std::size_t>(row * given.max_len + key)] == seen ? 0 : 1;
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("blocks of paged_mqa_logits load every key of every token once, by its page",
          "[kernels][emulation]") {
  std::mt19937_64 random(Catch::getSeed());
  check_division<Config<1, 1, 1, false, 64>>(random, 6);
  check_division<Config<2, 2, 1, false, 32>>(random, 6);
  check_division<Config<3, 2, 1, true, 64>>(random, 6);
  check_division<Config<3, 1, 2, false, 32>>(random, 6);
  check_division<Config<5, 2, 3, true, 32>>(random, 6);
  check_division<Config<6, 4, 1, true, 64>>(random, 6);
}

}  // namespace
}  // namespace jit::test
