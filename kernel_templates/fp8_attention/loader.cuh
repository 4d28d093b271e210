// The warp of fp8_attention that loads: queries, keys and values of one item after another.
#pragma once

#include "attention_shared/work.cuh"
#include "common/ring.cuh"
#include "common/sync.cuh"
#include "common/tma.cuh"
#include "fp8_attention/memory.cuh"
#include "fp8_attention/shape.cuh"

namespace cubinet {
namespace fp8_attention {

// Loader is the state of the loading warp; every lane has the same.
//
// Order: keys of a tile before the values of the tile before it, as they are used. The first keys
//        of an item come before its queries, whose buffer is busy for longer.
template <class Config>
struct Loader {
  using S = Shape<Config>;
  static constexpr int kBlockN = Config::kBlockN;
  static constexpr int kCopies = kBlockN / S::kCopiedRows;  // of a tile, with pages

  const Params& params;
  const Memory<S>& memory;
  Ring<Config::kNumStages> keys{};
  Ring<Config::kValueStages> values{};
  unsigned int query_parity = 0;

  // ---- Tiles ----

  // What a tile of one operand is copied by.
  struct Copy {
    const TensorMap& map;
    unsigned char* buffer;
    Mbarrier* full;
    int slab;   // bytes
    int bytes;  // of a whole tile
  };

  // Tokens of a page by copies of their own, each by a lane; only such as hold keys.
  __device__ __forceinline__ void copy_pages(const Copy& copy, const attention::Item& item,
                                             int tile) const {
    const int first = tile * kBlockN;
    const int left = min(kBlockN, item.work.keys - first);
    const int copies = (left + S::kCopiedRows - 1) / S::kCopiedRows;
    if (elect_one()) mbarrier_arrive_expect_tx(copy.full, copies * (copy.bytes / kCopies));
    __syncwarp();
    const int* const pages = params.page_table + item.work.sequence * params.page_table_stride;
#pragma unroll 1
    for (int i = static_cast<int>(threadIdx.x % 32); i < copies; i += 32) {
      const int token = first + i * S::kCopiedRows;
      const int page = token / params.page_size;
      // Rows of all slabs of a copy are not beside each other: a copy per slab.
#pragma unroll 1
      for (int part = 0; part * copy.slab * kBlockN < copy.bytes; ++part) {
        tma_load_5d(copy.buffer + part * copy.slab * kBlockN + i * S::kCopiedRows * copy.slab,
                    copy.map, copy.full, CachePolicy::kEvictLast, 0,
                    token - page * params.page_size, part, item.work.kv_head,
                    load_int(pages + page, true));
      }
    }
  }

  __device__ __forceinline__ void copy_tile(const Copy& copy, const attention::Item& item,
                                            int tile) const {
    if constexpr (Config::kPageRows != 0) {
      copy_pages(copy, item, tile);
    } else if (elect_one()) {
      mbarrier_arrive_expect_tx(copy.full, copy.bytes);
      tma_load_4d(copy.buffer, copy.map, copy.full, CachePolicy::kEvictLast, 0,
                  item.first_key + tile * kBlockN, 0, item.work.kv_head);
    }
    __syncwarp();
  }

  __device__ __forceinline__ void load_keys(const attention::Item& item, int tile) {
    mbarrier_wait_parity(memory.key_empty(keys.stage), keys.parity ^ 1u);
    copy_tile({params.k, memory.keys(keys.stage), memory.key_full(keys.stage), S::kSlab,
               key_bytes(S::kTile)},
              item, tile);
    keys.advance();
  }

  // Which values are the sequence's own is noted beside them.
  __device__ __forceinline__ void load_values(const attention::Item& item, int tile) {
    wait_for_values();
    if (threadIdx.x % 32 == 0) *memory.note(values.stage) = item.work.keys - tile * kBlockN;
    __syncwarp();
    copy_tile({params.v, memory.raw_values(values.stage), memory.raw_full(values.stage),
               S::kValueSlab, value_bytes(S::kTile)},
              item, tile);
    values.advance();
  }

  __device__ __forceinline__ void wait_for_values() const {
    mbarrier_wait_parity(memory.raw_empty(values.stage), values.parity ^ 1u);
  }

  // ---- Items ----

  // Queries, and what is to be done with them.
  __device__ __forceinline__ void load_queries(const attention::Work& work) {
    mbarrier_wait_parity(memory.query_empty(), query_parity ^ 1u);
    if (elect_one()) {
      *memory.work(query_parity) = work;
      if (work.tiles > work.first_tile) {
        mbarrier_arrive_expect_tx(memory.query_full(), query_bytes(S::kTile));
        tma_load_5d(memory.queries(), params.q, memory.query_full(), CachePolicy::kEvictFirst, 0, 0,
                    work.row, 0, work.head / Config::kPackGqa);
      } else {
        mbarrier_arrive(memory.query_full());
      }
    }
    __syncwarp();
    query_parity ^= 1u;
  }

  struct Division {
    static constexpr int kBlockQueries = S::kTokens;
    static constexpr int kBlockKeys = kBlockN;
    static constexpr int kKeyValueBytes = Config::kHeadDim + Config::kHeadDimV;
    static constexpr bool kCausal = Config::CAUSAL;
    static constexpr bool kWindow = Config::WINDOW;
    static constexpr bool kSplit = Config::SPLIT;
    static constexpr bool kPerSequence = true;
  };
  using Source = attention::WorkSource<Division>;

  // Asks for the next item when what is left keeps the math warpgroups busy until the answer is
  // there and the next keys have landed.
  __device__ __forceinline__ void load_item(const attention::Item& item, Source& source) {
    const int first = item.work.first_tile;
    int tile = item.work.tiles - 1;
    if (tile >= first) load_keys(item, tile);
    if (tile <= first) source.ask();
    load_queries(item.work);
#pragma unroll 1
    for (; tile > first; --tile) {
      if (tile == first + 1) source.ask();
      load_keys(item, tile - 1);
      load_values(item, tile);
    }
    if (tile == first) load_values(item, first);
  }

  __device__ __forceinline__ void load_all() {
    attention::Batch batch{params.cu_seqlens_q,
                           params.cu_seqlens_k,
                           params.work_counters,
                           params.num_sequences,
                           params.num_heads / Config::kPackGqa,
                           params.heads_per_kv / Config::kPackGqa};
    batch.seqused_q = params.seqused_q;
    batch.seqused_k = params.seqused_k;
    if constexpr (Config::WINDOW) {
      batch.window_left = params.window_left;
      batch.window_right = params.window_right;
    }
    if constexpr (Config::SPLIT) {
      batch.num_splits = params.num_splits;
      batch.split_tiles = params.split_tiles;
    }
    Source source(batch);
    attention::Item item;
#pragma unroll 1
    while (source.next(item)) {
      item.work.head *= Config::kPackGqa;
      load_item(item, source);
    }
    attention::Work end{};
    end.tiles = -1;
    load_queries(end);
    wait_for_values();
    if (threadIdx.x % 32 == 0) {
      *memory.note(values.stage) = -1;
      mbarrier_arrive(memory.raw_full(values.stage));
    }
  }
};

}  // namespace fp8_attention
}  // namespace cubinet
