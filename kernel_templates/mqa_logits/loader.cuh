// The warp of mqa_logits that loads: what the block's part of the query tokens needs, in order,
// into the rings that the math warpgroups read.
#pragma once

#include "common/sync.cuh"
#include "common/tma.cuh"
#include "common/warp.cuh"
#include "mqa_logits/key_range.cuh"
#include "mqa_logits/shape.cuh"
#include "mqa_shared/pipeline.cuh"
#include "mqa_shared/schedule.cuh"

namespace cubinet {
namespace mqa_logits {

using mqa::kTilesPerSplit;
using mqa::kTileTokens;
using mqa::Memory;
using mqa::Work;

// Loader is the state of the loading warp; every lane has the same.
template <class Config>
struct Loader {
  using S = Shape<Config>;
  static constexpr int kBlockQ = Config::kBlockQ;
  static constexpr int kScaleBytes = mqa::scale_bytes();
  static constexpr unsigned int kAllLanes = 0xFFFFFFFFu;

  const Params& params;
  const Memory<S>& memory;
  Ring<S::kTile.key_stages> keys{};
  Ring<S::kTile.query_stages> queries{};

  // Of this lane's token in `group`: lanes beyond kBlockQ have none.
  __device__ __forceinline__ KeyRange load_own_range(unsigned int group) const {
    const unsigned int lane = threadIdx.x % 32;
    return load_range<Config::COMPRESSED_LOGITS>(
        params, lane < kBlockQ ? group * kBlockQ + lane : params.num_tokens);
  }

  // The tiles of the group whose tokens' ranges the lanes have.
  __device__ __forceinline__ static Tiles tiles_of_group(const KeyRange& own) {
    const bool is_empty = own.begin == own.end;
    return tiles_of({__reduce_min_sync(kAllLanes, is_empty ? ~0u : own.begin),
                     __reduce_max_sync(kAllLanes, is_empty ? 0u : own.end)});
  }

  // Queries, weights and ranges of a group, and which tiles they are for.
  __device__ __forceinline__ void load_queries(unsigned int group, const KeyRange& own, int tile,
                                               int count) {
    const int lane = threadIdx.x % 32;
    const int row = static_cast<int>(group) * kBlockQ;
    const int tokens = min(kBlockQ, static_cast<int>(params.num_tokens) - row);
    mbarrier_wait_parity(memory.query_empty(queries.stage), queries.parity ^ 1u);
    Work* const work = memory.work(queries.stage);
    if (lane < kBlockQ) {
      work->begins[lane] = static_cast<int>(own.begin);
      work->ends[lane] = static_cast<int>(own.end);
    }
    if (lane == 0) {
      work->tile = tile;
      work->count = count;
      work->row = row;
    }
    __syncwarp();
    if (elect_one()) {
      Mbarrier* const full = memory.query_full(queries.stage);
      constexpr int kQueryBytes = S::kHeads * S::kHeadDim;
      mbarrier_arrive_expect_tx(full, tokens * (kQueryBytes + S::kHeads * 4));
      for (int token = 0; token < tokens; ++token) {
        tma_load_2d(memory.queries(queries.stage) + token * kQueryBytes, params.queries, full,
                    CachePolicy::kEvictNormal, 0, (row + token) * S::kHeads);
      }
      bulk_load(memory.weights(queries.stage),
                params.weights + static_cast<long long>(row) * S::kHeads, tokens * S::kHeads * 4,
                full, CachePolicy::kEvictNormal);
    }
    queries.advance(1);
  }

  // Keys and scales of tiles [tile, end_tile). Boxes reach beyond the last key; nobody stores the
  // scores of what fills them there.
  __device__ __forceinline__ void load_keys(int tile, int end_tile) {
#pragma unroll 1
    for (; tile < end_tile; ++tile) {
      mbarrier_wait_parity(memory.key_empty(keys.stage), keys.parity ^ 1u);
      if (elect_one()) {
        Mbarrier* const full = memory.key_full(keys.stage);
        mbarrier_arrive_expect_tx(full, Memory<S>::kKeyBytes + kScaleBytes);
        tma_load_2d(memory.keys(keys.stage), params.keys, full, CachePolicy::kEvictLast, 0,
                    tile * kTileTokens);
        tma_load_1d(memory.scales(keys.stage), params.key_scales, full, CachePolicy::kEvictLast,
                    tile * kTileTokens);
      }
      __syncwarp();
      keys.advance(1);
    }
  }

  __device__ __forceinline__ void finish() {
    mbarrier_wait_parity(memory.query_empty(queries.stage), queries.parity ^ 1u);
    if (threadIdx.x % 32 == 0) {
      memory.work(queries.stage)->count = -1;
      mbarrier_arrive(memory.query_full(queries.stage));
    }
  }

  // All splits of `part`, whose requests are groups.
  __device__ __forceinline__ void load_all(const mqa::schedule::Part& part) {
    const unsigned int end_group = warp_uniform(part.end_request);
    const unsigned int end_split = warp_uniform(part.end_split);
    unsigned int group = warp_uniform(part.first_request);
    unsigned int split = warp_uniform(part.first_split);
    KeyRange next = load_own_range(group);
#pragma unroll 1
    for (; group < end_group || (group == end_group && end_split != 0); ++group) {
      const KeyRange own = next;
      next = load_own_range(group + 1);  // in flight while this group is loaded
      const Tiles tiles = tiles_of_group(own);
      const unsigned int begin = split * kTilesPerSplit;
      const unsigned int end =
          group == end_group ? min(tiles.count, end_split * kTilesPerSplit) : tiles.count;
      split = 0;
      if (begin >= end) continue;
      const int tile = static_cast<int>(warp_uniform(tiles.first + begin));
      const int end_tile = static_cast<int>(warp_uniform(tiles.first + end));
      load_queries(group, own, tile, end_tile - tile);
      load_keys(tile, end_tile);
    }
    finish();
  }
};

}  // namespace mqa_logits
}  // namespace cubinet
