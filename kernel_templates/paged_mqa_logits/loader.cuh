// The warp of paged_mqa_logits that loads: what the block's part of the batch needs, in order, into
// the rings that the math warpgroups read.
#pragma once

#include "common/memory_int.cuh"
#include "common/sync.cuh"
#include "common/tma.cuh"
#include "common/warp.cuh"
#include "mqa_shared/pipeline.cuh"
#include "mqa_shared/schedule.cuh"
#include "paged_mqa_logits/shape.cuh"

namespace cubinet {
namespace paged_mqa_logits {

using mqa::kTilesPerSplit;
using mqa::kTileTokens;
using mqa::Memory;
using mqa::Work;

// Requests as a lane of the loading warp knows them, 32 at a time.
template <int NEXT_N>
struct Lengths {
  int first = -32;  // request of lane 0
  int lens[NEXT_N];
  int longest = 0;

  __device__ __forceinline__ void read(const Params& params, int request) {
    first = request;
    const int lane = threadIdx.x % 32;
    const unsigned int mine = static_cast<unsigned int>(request + lane);
    longest = 0;
#pragma unroll
    for (int token = 0; token < NEXT_N; ++token) {
      const int* const at =
          params.context_lens + static_cast<unsigned long long>(mine) * NEXT_N + token;
      lens[token] = static_cast<int>(
          mqa::schedule::length_of(load_int(at, mine < params.batch), params.max_context_len));
      longest = max(longest, lens[token]);
    }
  }
};

// Loader is the state of the loading warp, the same in every lane but for `lengths`.
template <class Config>
struct Loader {
  using S = Shape<Config>;
  static constexpr int kNextN = Config::kNextN;
  static constexpr int kPagesPerTile = kTileTokens / Config::kBlockKV;
  static constexpr int kKeyBytes = Config::kBlockKV * Config::kHeadDim;  // of a page
  static constexpr int kScaleBytes = Config::kBlockKV * 4;

  const Params& params;
  const Memory<S>& memory;
  Ring<S::kTile.key_stages> keys{};
  Ring<S::kTile.query_stages> queries{};
  Lengths<kNextN> lengths{};

  // Queries, weights and lengths of one pass over a request, and which tiles they are for.
  __device__ __forceinline__ void load_queries(int request, int pass, int tile, int count) {
    const int lane = threadIdx.x % 32;
    mbarrier_wait_parity(memory.query_empty(queries.stage), queries.parity ^ 1u);
    const int first = pass * S::kTokens;
    const int tokens = min(S::kTokens, kNextN - first);
    const int row = request * kNextN + first;
    Work* const work = memory.work(queries.stage);
#pragma unroll
    for (int token = 0; token < kNextN; ++token) {
      const int len = __shfl_sync(0xFFFFFFFFu, lengths.lens[token], request - lengths.first);
      if (lane == token - first && lane < S::kTokens) work->ends[lane] = len;
    }
    if (lane >= tokens && lane < S::kTokens) work->ends[lane] = 0;
    if (lane < S::kTokens) work->begins[lane] = 0;
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

  // The keys and scales of tiles [tile, end_tile), page by page; pages from `num_pages` on are not
  // there: what they would have filled stays as it was, and nobody stores its scores.
  __device__ __forceinline__ void load_keys(int request, int tile, int end_tile, int num_pages) {
    const int lane = threadIdx.x % 32;
    const int* const table = params.block_table + request * params.block_table_stride;
    const int end = min(end_tile * kPagesPerTile, num_pages);
    for (int window = tile * kPagesPerTile; window < end; window += 32) {
      const int in_window = min(32, end - window);
      const int block = load_int(table + window + lane, lane < in_window);
      for (int page = 0; page < in_window; page += kPagesPerTile) {
        mbarrier_wait_parity(memory.key_empty(keys.stage), keys.parity ^ 1u);
        const int pages = min(kPagesPerTile, in_window - page);
        if (elect_one()) {
          mbarrier_arrive_expect_tx(memory.key_full(keys.stage), pages * (kKeyBytes + kScaleBytes));
        }
#pragma unroll
        for (int i = 0; i < kPagesPerTile; ++i) {
          const int number = warp_uniform(__shfl_sync(0xFFFFFFFFu, block, page + i));
          if (i < pages) load_page(number, i);
        }
        keys.advance(1);
      }
    }
  }

  // Page `number` of the cache into part `part` of the tile.
  __device__ __forceinline__ void load_page(int number, int part) {
    if (!elect_one()) return;
    Mbarrier* const full = memory.key_full(keys.stage);
    tma_load_3d(memory.keys(keys.stage) + part * kKeyBytes, params.keys, full,
                CachePolicy::kEvictFirst, 0, 0, number);
    bulk_load(memory.scales(keys.stage) + part * Config::kBlockKV,
              params.pages + number * params.page_stride + kKeyBytes, kScaleBytes, full,
              CachePolicy::kEvictFirst);
  }

  __device__ __forceinline__ void finish() {
    mbarrier_wait_parity(memory.query_empty(queries.stage), queries.parity ^ 1u);
    if (threadIdx.x % 32 == 0) {
      memory.work(queries.stage)->count = -1;
      mbarrier_arrive(memory.query_full(queries.stage));
    }
  }

  // All splits of `part`.
  __device__ __forceinline__ void load_all(const mqa::schedule::Part& part) {
    const int end_request = warp_uniform(static_cast<int>(part.end_request));
    const int end_split = warp_uniform(static_cast<int>(part.end_split));
    int split = warp_uniform(static_cast<int>(part.first_split));
    for (int request = warp_uniform(static_cast<int>(part.first_request));
         request < end_request || (request == end_request && end_split != 0); ++request) {
      if (request - lengths.first >= 32) lengths.read(params, request);
      const int longest =
          warp_uniform(__shfl_sync(0xFFFFFFFFu, lengths.longest, request - lengths.first));
      int end_tile = (longest + kTileTokens - 1) / kTileTokens;
      if (request == end_request) end_tile = min(end_tile, end_split * kTilesPerSplit);
      const int tile = split * kTilesPerSplit;
      split = 0;
      if (tile >= end_tile) continue;
      const int num_pages = (longest + Config::kBlockKV - 1) / Config::kBlockKV;
#pragma unroll 1
      for (int pass = 0; pass < S::kPasses; ++pass) {
        load_queries(request, pass, tile, end_tile - tile);
        load_keys(request, tile, end_tile, num_pages);
      }
    }
    finish();
  }
};

}  // namespace paged_mqa_logits
}  // namespace cubinet
