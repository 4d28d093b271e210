// The warp of mla_prefill that loads: queries, keys and values of one item after another, into the
// buffers that the math warpgroups read.
#pragma once

#include "attention_shared/pipeline.cuh"
#include "attention_shared/work.cuh"
#include "common/sync.cuh"
#include "common/tma.cuh"
#include "mla_prefill/shape.cuh"

namespace cubinet {
namespace mla_prefill {

// Loader is the state of the loading warp; every lane has the same.
//
// Order: keys of a tile before the values of the tile before it, as they are used: the next tile's
//        scores are found beside this one's product with the values. The first keys of an item come
//        before its queries, whose buffer is busy for longer.
template <class Config>
struct Loader {
  using S = Shape<Config>;
  using Ring = cubinet::Ring<Config::kNumStages>;
  static constexpr int kBlockN = Config::kBlockN;
  static constexpr int kSlabBytes = kBlockN * 128;

  const Params& params;
  const attention::Memory<S>& memory;
  Ring keys{};
  Ring values{};
  unsigned int query_parity = 0;

  __device__ __forceinline__ void load_keys(const attention::Item& item, int tile) {
    mbarrier_wait_parity(memory.key_empty(keys.stage), keys.parity ^ 1u);
    if (elect_one()) {
      Mbarrier* const full = memory.key_full(keys.stage);
      unsigned char* const buffer = memory.keys(keys.stage);
      const int token = item.first_key + tile * kBlockN;
      mbarrier_arrive_expect_tx(full, attention::key_bytes(S::kTile));
      tma_load_4d(buffer, params.k, full, CachePolicy::kEvictLast, 0, token, 0, item.work.kv_head);
      if constexpr (Config::kRopeDim != 0) {
        tma_load_2d(buffer + S::kKeySlabs * kSlabBytes, params.k_rope, full,
                    CachePolicy::kEvictLast, 0, token);
      }
    }
    __syncwarp();
    keys.advance();
  }

  __device__ __forceinline__ void load_values(const attention::Item& item, int tile) {
    mbarrier_wait_parity(memory.value_empty(values.stage), values.parity ^ 1u);
    if (elect_one()) {
      Mbarrier* const full = memory.value_full(values.stage);
      mbarrier_arrive_expect_tx(full, attention::value_bytes(S::kTile));
      tma_load_4d(memory.values(values.stage), params.v, full, CachePolicy::kEvictLast, 0,
                  item.first_key + tile * kBlockN, 0, item.work.kv_head);
    }
    __syncwarp();
    values.advance();
  }

  // Queries, and what is to be done with them.
  __device__ __forceinline__ void load_queries(const attention::Work& work) {
    mbarrier_wait_parity(memory.query_empty(), query_parity ^ 1u);
    query_parity ^= 1u;
    if (elect_one()) {
      *memory.work() = work;
      if (work.tiles > 0) {
        mbarrier_arrive_expect_tx(memory.query_full(), attention::query_bytes(S::kTile));
        tma_load_4d(memory.queries(), params.q, memory.query_full(), CachePolicy::kEvictFirst, 0,
                    work.row, 0, work.head);
      } else {
        mbarrier_arrive(memory.query_full());
      }
    }
    __syncwarp();
  }

  struct Division {
    static constexpr int kBlockQueries = S::kTile.block_m;
    static constexpr int kBlockKeys = kBlockN;
    static constexpr int kKeyValueBytes = (Config::kHeadDim + Config::kHeadDimV) * 2;
    static constexpr bool kCausal = Config::CAUSAL;
    static constexpr bool kWindow = false;
    static constexpr bool kSplit = false;
    static constexpr bool kPerSequence = false;
  };
  using Source = attention::WorkSource<Division>;

  // Asks for the next item when what is left keeps the math warpgroups busy until the answer is
  // there and the next keys have landed.
  __device__ __forceinline__ void load_item(const attention::Item& item, Source& source) {
    int tile = item.work.tiles - 1;
    if (tile >= 0) load_keys(item, tile);
    if (tile <= 0) source.ask();
    load_queries(item.work);
#pragma unroll 1
    for (; tile > 0; --tile) {
      if (tile == 1) source.ask();
      load_keys(item, tile - 1);
      load_values(item, tile);
    }
    if (tile == 0) load_values(item, 0);
  }

  __device__ __forceinline__ void load_all() {
    Source source({params.cu_seqlens_q, params.cu_seqlens_k, params.work_counters,
                   params.num_sequences, params.num_heads, params.heads_per_kv});
    attention::Item item;
#pragma unroll 1
    while (source.next(item)) load_item(item, source);
    attention::Work end{};
    end.tiles = -1;
    load_queries(end);
  }
};

}  // namespace mla_prefill
}  // namespace cubinet
