// How attention kernels divide a batch over blocks: which query rows of which head come next.
//
// An item is up to BLOCK_M query rows of one head of one sequence, against all keys that they see.
// Order: sequences one after the other; in each, heads in sections; in a section the last rows
//        first, which see most under a causal mask; for each row block all heads of the section. A
//        section has the largest power of two of key heads that fits into kSectionBytes, so that
//        keys and values are read from memory once, however many row blocks pass over them.
// Causal: bottom-right aligned: query i of q sees key j of k if j <= i + k - q.
// Division: dynamic with work_counters: block i takes item i, then whichever nobody has taken. Else
//           static: block i of g takes units i, i + g, ... A unit is an item; under a causal mask,
//           when there are more items than blocks, it is two row blocks of a head, the last and the
//           first of those that are left, so that all units of a sequence are of one length.
#pragma once

#include "attention_shared/tile.h"
#include "common/atomic.cuh"
#include "common/memory_int.cuh"

namespace cubinet {
namespace attention {

// What a batch is.
//
// Requires: sequences of one kind lie one after the other; those of negative length count as empty.
//           num_heads a multiple of heads_per_kv; fewer than 2^31 items.
struct Batch {
  const int* cu_seqlens_q;      // [num_sequences + 1]: where each begins, in query tokens
  const int* cu_seqlens_k;      // [num_sequences + 1]: the same in keys
  unsigned int* work_counters;  // [2], both 0, and again at the end of the grid; null: without
  int num_sequences;
  int num_heads;  // of queries
  int heads_per_kv;
};

struct Item {
  Work work;
  int first_key;  // of the sequence, among all keys
};

namespace detail {

constexpr unsigned int kAllLanes = 0xFFFFFFFFu;
constexpr unsigned int kLanes = 32;
constexpr unsigned int kSectionBytes = 32u << 20;  // of an L2 of 50 MB

// Requires: the same operands in all lanes, so that nothing diverges.
__device__ __forceinline__ unsigned int divide(unsigned int a, unsigned int b) {
  if ((b & (b - 1u)) == 0u) return a >> (31 - __clz(static_cast<int>(b)));
  return a / b;
}

__device__ __forceinline__ int from_lane(int value, unsigned int lane) {
  return static_cast<int>(__shfl_sync(kAllLanes, static_cast<unsigned int>(value), lane));
}

// Where a sequence lies and how long it is.
struct Sequence {
  int first_query;
  int queries;
  int first_key;
  int keys;
};

// The sequence of lane `lane`, in all lanes.
__device__ __forceinline__ Sequence from_lane(const Sequence& own, unsigned int lane) {
  return {from_lane(own.first_query, lane), from_lane(own.queries, lane),
          from_lane(own.first_key, lane), from_lane(own.keys, lane)};
}

}  // namespace detail

// WorkSource finds the items of the calling block, in order.
//
// Requires: one warp calls it, all lanes together, after wait_for_previous_grids. KEY_VALUE_BYTES:
//           of one key and one value of one head.
// Cost: all lengths are read once, 32 at a time; then an item is found without another access.
// Order: a block gives the counters back after its last item; the next grid may use them when this
//        one has ended.
template <int BLOCK_M, int BLOCK_N, bool CAUSAL, int KEY_VALUE_BYTES>
class WorkSource {
 public:
  __device__ __forceinline__ explicit WorkSource(const Batch& batch)
      : batch_(batch), number_(blockIdx.x) {
    load_sequences(0u);
  }

  // Asks for the next item ahead of next(), which then need not wait for the counter's answer. The
  // later, the better blocks are balanced. Once per item at most.
  __device__ __forceinline__ void ask() {
    if (batch_.work_counters == nullptr) return;
    if (threadIdx.x % detail::kLanes == 0) asked_ = atomic_add(batch_.work_counters, 1u);
    is_asked_ = true;
  }

  // Whether there was another item. After `false` it must not be called again.
  __device__ __forceinline__ bool next(Item& item) {
    if (is_started_ && !has_second_) number_ = next_number();
    is_started_ = true;
    const unsigned int lane = find_sequence();
    if (first_sequence_ + static_cast<int>(lane) >= batch_.num_sequences) {
      give_back_counters();
      return false;
    }
    const detail::Sequence sequence = detail::from_lane(own_, lane);
    const unsigned int end = __shfl_sync(detail::kAllLanes, end_, lane);
    const unsigned int turns = turns_of(sequence.queries);
    const Turn turn = find_turn(sequence.keys, turns, number_ - (end - turns * heads()));
    // Counted from the first row block; a pair's other one from the last.
    const unsigned int blocks = blocks_of(sequence.queries);
    const unsigned int last = blocks - 1u - turn.number;
    const unsigned int block = has_second_ ? turn.number : last;
    has_second_ = is_paired_ && !has_second_ && last != turn.number;
    describe(sequence, static_cast<int>(block * BLOCK_M), turn.head, item);
    return true;
  }

 private:
  // Of a sequence's row blocks, or pairs of them, the one that is done at this turn for this head.
  struct Turn {
    unsigned int number;
    unsigned int head;
  };

  __device__ __forceinline__ unsigned int heads() const {
    return static_cast<unsigned int>(batch_.num_heads);
  }

  __device__ __forceinline__ static unsigned int blocks_of(int queries) {
    return (static_cast<unsigned int>(queries) + (BLOCK_M - 1u)) / BLOCK_M;
  }

  // Units of one head.
  __device__ __forceinline__ unsigned int turns_of(int queries) const {
    const unsigned int blocks = blocks_of(queries);
    return is_paired_ ? (blocks + 1u) / 2u : blocks;
  }

  // Reads sequences from first_sequence_ on, one per lane, whose units come after `begin` others.
  __device__ __forceinline__ void load_sequences(unsigned int begin) {
    const unsigned int lane = threadIdx.x % detail::kLanes;
    const int left = batch_.num_sequences - first_sequence_;
    const int at = first_sequence_ + static_cast<int>(lane);
    const bool is_one = static_cast<int>(lane) < left;
    const int first_query = load_int(batch_.cu_seqlens_q + at, is_one);
    const int end_query = load_int(batch_.cu_seqlens_q + at + 1, is_one);
    const int first_key = load_int(batch_.cu_seqlens_k + at, is_one);
    const int end_key = load_int(batch_.cu_seqlens_k + at + 1, is_one);
    own_ = {first_query, max(end_query - first_query, 0), first_key, max(end_key - first_key, 0)};
    if constexpr (CAUSAL) {
      // The first sequences speak for all: every block must come to the same end.
      if (first_sequence_ == 0 && batch_.work_counters == nullptr) {
        const unsigned int items = blocks_of(own_.queries) * heads();
        is_paired_ = __reduce_add_sync(detail::kAllLanes, items) > gridDim.x;
      }
    }
    end_ = turns_of(own_.queries) * heads();
#pragma unroll 1
    for (int distance = 1; distance < min(left, static_cast<int>(detail::kLanes)); distance *= 2) {
      const unsigned int below = __shfl_up_sync(detail::kAllLanes, end_, distance);
      end_ += static_cast<int>(lane) >= distance ? below : 0u;
    }
    end_ = is_one ? begin + end_ : ~0u;
  }

  // The lane of the sequence that number_ lies in, or of none.
  __device__ __forceinline__ unsigned int find_sequence() {
    unsigned int lane = __reduce_add_sync(detail::kAllLanes, number_ >= end_ ? 1u : 0u);
#pragma unroll 1
    while (lane == detail::kLanes) {
      first_sequence_ += static_cast<int>(detail::kLanes);
      load_sequences(__shfl_sync(detail::kAllLanes, end_, detail::kLanes - 1u));
      lane = __reduce_add_sync(detail::kAllLanes, number_ >= end_ ? 1u : 0u);
    }
    return lane;
  }

  // Query heads of a section.
  __device__ __forceinline__ unsigned int section_of(int keys) const {
    constexpr unsigned int kMostKeys = detail::kSectionBytes / KEY_VALUE_BYTES;
    static_assert(kMostKeys >= 1u, "a key and its value must fit into a section");
    const int shift = max(__clz(keys) - __clz(static_cast<int>(kMostKeys)), 0);
    const unsigned int fits = (static_cast<unsigned int>(keys) << shift) <= kMostKeys ? 0u : 1u;
    const unsigned int kv_heads = max((1u << shift) >> fits, 1u);
    return min(min(kv_heads, heads()) * static_cast<unsigned int>(batch_.heads_per_kv), heads());
  }

  // `unit` counts from the sequence's first one; each head has `turns`.
  __device__ __forceinline__ Turn find_turn(int keys, unsigned int turns, unsigned int unit) const {
    unsigned int section = section_of(keys);
    unsigned int first_head = 0;
    if (section < heads()) {
      first_head = detail::divide(unit, turns * section) * section;
      unit -= first_head * turns;
      section = min(section, heads() - first_head);
    }
    const unsigned int number = detail::divide(unit, section);
    return {number, first_head + unit - number * section};
  }

  // The rows from `row` of the sequence on.
  __device__ __forceinline__ void describe(const detail::Sequence& sequence, int row,
                                           unsigned int head, Item& item) const {
    const int rows = min(BLOCK_M, sequence.queries - row);
    const int diagonal = row + 1 + sequence.keys - sequence.queries;
    const int first_sees = CAUSAL ? min(max(diagonal, 0), sequence.keys) : sequence.keys;
    const int last_sees = CAUSAL ? max(diagonal + rows - 1, 0) : sequence.keys;
    item.work.tiles = (static_cast<unsigned int>(last_sees) + (BLOCK_N - 1u)) / BLOCK_N;
    item.work.whole_tiles = static_cast<unsigned int>(first_sees) / BLOCK_N;
    item.work.row = sequence.first_query + row;
    item.work.rows = rows;
    item.work.head = static_cast<int>(head);
    item.work.keys = sequence.keys;
    item.work.diagonal = diagonal;
    item.work.first_tile = 0;
    item.work.first_whole = 0;
    item.work.sequence = 0;
    item.work.split = 0;
    item.work.kv_head =
        static_cast<int>(detail::divide(head, static_cast<unsigned int>(batch_.heads_per_kv)));
    item.first_key = sequence.first_key;
  }

  __device__ __forceinline__ unsigned int next_number() {
    if (batch_.work_counters == nullptr) return number_ + gridDim.x;
    if (!is_asked_) ask();
    is_asked_ = false;
    return gridDim.x + __shfl_sync(detail::kAllLanes, asked_, 0);
  }

  // The last block to come here: all others have taken their last number.
  __device__ __forceinline__ void give_back_counters() const {
    if (batch_.work_counters == nullptr || threadIdx.x % detail::kLanes != 0) return;
    if (atomic_add_acq_rel(batch_.work_counters + 1, 1u) != gridDim.x - 1u) return;
    store_int(reinterpret_cast<int*>(batch_.work_counters), 0);
    store_int(reinterpret_cast<int*>(batch_.work_counters + 1), 0);
  }

  const Batch batch_;
  detail::Sequence own_;    // of this lane
  unsigned int end_;        // units up to the end of this lane's sequence
  int first_sequence_ = 0;  // of lane 0
  unsigned int number_;     // of the unit that is done
  unsigned int asked_ = 0;  // what lane 0 got, when is_asked_
  bool is_asked_ = false;
  bool is_started_ = false;
  bool is_paired_ = false;
  bool has_second_ = false;  // the unit has another row block
};

}  // namespace attention
}  // namespace cubinet
