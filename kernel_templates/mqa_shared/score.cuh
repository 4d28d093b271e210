// What a math warpgroup does: products of keys and queries, ReLU, the weighted sum over heads, and
// the store of scores.
//
// Layout: A of wgmma are 64 keys, B the queries of one or more tokens: D has a row per key and a
//         column per (token, head). A thread holds, of rows r = 16 * warp + lane / 4 and r + 8,
//         columns 8 * j + 2 * (lane % 4) and the next one, for all j.
// Order:  heads are summed in the same order whatever the number of tokens: the score of a token
//         has the same bits in every kernel.
// Source: PTX ISA 9.0, 9.7.15.5.1, "D fragment" of wgmma.
#pragma once

#include "common/swizzle.cuh"
#include "common/types.cuh"
#include "common/warp.cuh"
#include "common/wgmma.cuh"
#include "common/wgmma_e4m3.cuh"
#include "mqa_shared/pipeline.cuh"

namespace cubinet {
namespace mqa {

// 2 * max(0, x), exactly; a NaN stays one. One addition at full rate, where a maximum has half.
__device__ __forceinline__ float twice_relu(float x) { return x + fabsf(x); }

// ---- Queries of one work item, as a thread keeps them ----

template <class Shape>
struct Tokens {
  static constexpr int kTokens = Shape::kTokens;
  static constexpr int kPairs = (kTokens + 1) / 2;
  static constexpr int kHeldTokens = Shape::kHoldWeights ? kTokens : 1;

  // Of this thread's columns; unless held, they are read from shared memory at each tile.
  float2 held[kHeldTokens][Shape::kHeads / 8];
  const float2* weights;
  // Of the tokens whose scores this thread stores: 2 * pair + (lane / 2) % 2.
  typename Shape::Logits* logits;  // column 0 of the first one
  int begins[kPairs];
  int ends[kPairs];

  // Of this thread's columns 8 * j + 2 * (lane % 4) and the next one of `token`.
  __device__ __forceinline__ float2 weight(int token, int j) const {
    if constexpr (Shape::kHoldWeights) {
      return held[token][j];
    } else {
      return weights[token * (Shape::kHeads / 2) + 4 * j];
    }
  }

  __device__ __forceinline__ void load(const Memory<Shape>& memory, int stage,
                                       const typename Shape::Output& output) {
    const int lane = threadIdx.x % 32;
    weights = reinterpret_cast<const float2*>(memory.weights(stage)) + lane % 4;
    if constexpr (Shape::kHoldWeights) {
#pragma unroll
      for (int token = 0; token < kTokens; ++token) {
#pragma unroll
        for (int j = 0; j < Shape::kHeads / 8; ++j) {
          held[token][j] = weights[token * (Shape::kHeads / 2) + 4 * j];
        }
      }
    }
    const Work& work = *memory.work(stage);
#pragma unroll
    for (int pair = 0; pair < kPairs; ++pair) {
      // A last token without a partner is stored by one half of the lanes.
      const int token = 2 * pair + (lane / 2) % 2;
      const bool mine = token < kTokens;
      begins[pair] = mine && Shape::kHasBegins ? work.begins[token] : 0;
      ends[pair] = mine ? work.ends[token] : 0;
    }
    logits = output.row(work.row + (lane / 2) % 2);
    // Else the multiplication is done again at every store.
    asm volatile("" : "+l"(logits));
  }
};

// ---- One product ----

// d = keys * queries^T of TOKENS tokens, begun; not waited for.
template <class Shape, int TOKENS>
__device__ __forceinline__ void begin_product(float (&d)[TOKENS * Shape::kHeads / 2],
                                              unsigned long long keys, const void* queries) {
  const unsigned long long columns = SwizzledTile<Shape::kHeadDim>::descriptor(queries);
#pragma unroll
  for (int k = 0; k < Shape::kHeadDim; k += 32) {
    wgmma_e4m3_ss<TOKENS * Shape::kHeads>(d, advance_k(keys, k), advance_k(columns, k), k != 0);
  }
  wgmma_commit_group();
}

// Adds up the heads of the first TOKENS of WIDTH tokens, from token `first` of the work item on:
// sums[token] is that of row lane / 4 in even lanes and of row lane / 4 + 8 in odd ones, twice, and
// still to be summed over bit 1 of the lane.
template <class Shape, int TOKENS, int WIDTH>
__device__ __forceinline__ void sum_heads(float* sums, const float (&d)[WIDTH * Shape::kHeads / 2],
                                          const Tokens<Shape>& tokens, int first) {
  const bool odd = threadIdx.x % 2 != 0;
#pragma unroll
  for (int token = 0; token < TOKENS; ++token) {
    float upper = 0.0f;
    float lower = 0.0f;
#pragma unroll
    for (int j = 0; j < Shape::kHeads / 8; ++j) {
      const float* const at = d + 4 * (token * (Shape::kHeads / 8) + j);
      const float2 weight = tokens.weight(first + token, j);
      upper = fmaf(twice_relu(at[0]), weight.x, upper);
      lower = fmaf(twice_relu(at[2]), weight.x, lower);
      upper = fmaf(twice_relu(at[1]), weight.y, upper);
      lower = fmaf(twice_relu(at[3]), weight.y, lower);
    }
    const float received = __shfl_xor_sync(0xFFFFFFFFu, odd ? upper : lower, 1);
    sums[first + token] = (odd ? lower : upper) + received;
  }
}

// The last step of the sums, over bit 1 of the lane, and the store of what lies in the range of its
// token.
template <class Shape>
__device__ __forceinline__ void store_scores(const typename Shape::Output& output,
                                             const Tokens<Shape>& tokens,
                                             const float (&sums)[Shape::kTokens], float half_scale,
                                             int position) {
  const bool second = (threadIdx.x / 2) % 2 != 0;
#pragma unroll
  for (int pair = 0; pair < Tokens<Shape>::kPairs; ++pair) {
    const float mine = sums[2 * pair];
    const float other = 2 * pair + 1 < Shape::kTokens ? sums[2 * pair + 1] : mine;
    const float received = __shfl_xor_sync(0xFFFFFFFFu, second ? mine : other, 2);
    const float score = half_scale * ((second ? other : mine) + received);
    const bool begun = !Shape::kHasBegins || position >= tokens.begins[pair];
    if (begun && position < tokens.ends[pair]) {
      output.store(tokens.logits + 2 * pair * output.stride, position, tokens.begins[pair], score);
    }
  }
}

// ---- A tile, and all tiles ----

// The products of a tile, one per group of tokens, side by side in registers. All are begun at
// once; the heads of one are summed while the next ones run.
template <class Shape>
struct Products {
  static constexpr int kWhole = Shape::kGroups - 1;
  float whole[kWhole > 0 ? kWhole : 1][Shape::kGroupTokens * Shape::kHeads / 2];
  float last[Shape::kLastGroupTokens * Shape::kHeads / 2];

  __device__ __forceinline__ void begin(unsigned long long keys, const unsigned char* queries) {
    wgmma_fence();
#pragma unroll
    for (int group = 0; group < kWhole; ++group) {
      begin_product<Shape, Shape::kGroupTokens>(whole[group], keys,
                                                queries + group * Shape::kGroupBytes);
    }
    begin_product<Shape, Shape::kLastGroupTokens>(last, keys,
                                                  queries + kWhole * Shape::kGroupBytes);
  }
  // Waits for the groups from GROUP on, one after the other, but for the last one.
  template <int GROUP = 0>
  __device__ __forceinline__ void finish_whole(float* sums, const Tokens<Shape>& tokens) const {
    if constexpr (GROUP < kWhole) {
      wgmma_wait_group<kWhole - GROUP>();
      sum_heads<Shape, Shape::kGroupTokens, Shape::kGroupTokens>(sums, whole[GROUP], tokens,
                                                                 GROUP * Shape::kGroupTokens);
      finish_whole<GROUP + 1>(sums, tokens);
    }
  }
  // Requires: it has been waited for.
  __device__ __forceinline__ void finish_last(float* sums, const Tokens<Shape>& tokens) const {
    constexpr int kFirst = kWhole * Shape::kGroupTokens;
    sum_heads<Shape, Shape::kTokens - kFirst, Shape::kLastGroupTokens>(sums, last, tokens, kFirst);
  }
};

// The tile that is scored: where it lies and what this thread stores of it.
struct TilePlace {
  int stage;
  int row;
  int position;
};

// Scores one tile and gives its stage back as soon as its memory has been read.
template <class Shape>
__device__ __forceinline__ void score_tile(const Memory<Shape>& memory,
                                           const typename Shape::Output& output,
                                           const unsigned char* queries,
                                           const Tokens<Shape>& tokens, const TilePlace& tile) {
  Products<Shape> products;
  float sums[Shape::kTokens];
  products.begin(SwizzledTile<Shape::kHeadDim>::descriptor(memory.keys(tile.stage)), queries);
  const float half_scale = 0.5f * memory.scales(tile.stage)[tile.row];
  products.finish_whole(sums, tokens);
  wgmma_wait_group<0>();
  if (threadIdx.x % 32 == 0) mbarrier_arrive(memory.key_empty(tile.stage));
  products.finish_last(sums, tokens);
  store_scores<Shape>(output, tokens, sums, half_scale, tile.position);
}

// Scores every tile of this warpgroup, one of `kMathWarpgroups` that share the tiles out in turns,
// until there is no more work. Requires: `warpgroup` is warp_uniform, so that stages and
// descriptors stay in uniform registers.
template <class Shape>
__device__ __forceinline__ void score_all(const Memory<Shape>& memory, int warpgroup,
                                          const typename Shape::Output& output) {
  const int lane = threadIdx.x % 32;
  const int row = threadIdx.x % 128 / 32 * 16 + lane % 2 * 8 + lane / 4;
  Ring<Shape::kTile.key_stages> keys;
  Ring<Shape::kTile.query_stages> queries;
  keys.advance(warpgroup);
  for (int next = warpgroup;;) {  // counted over the tiles of the block, from this work item on
    mbarrier_wait_parity(memory.query_full(queries.stage), queries.parity);
    const Work& work = *memory.work(queries.stage);
    const int count = warp_uniform(work.count);
    if (count < 0) return;
    if (next < count) {
      Tokens<Shape> tokens;
      tokens.load(memory, queries.stage, output);
      const int first = work.tile * kTileTokens + row;
      for (; next < count; next += Shape::kMathWarpgroups) {
        mbarrier_wait_parity(memory.key_full(keys.stage), keys.parity);
        score_tile<Shape>(memory, output, memory.queries(queries.stage), tokens,
                          TilePlace{keys.stage, row, first + next * kTileTokens});
        keys.advance(Shape::kMathWarpgroups);
      }
    }
    next -= count;
    __syncwarp();
    if (lane == 0) mbarrier_arrive(memory.query_empty(queries.stage));
    queries.advance(1);
  }
}

}  // namespace mqa
}  // namespace cubinet
