// How attention kernels divide a batch over blocks: which query rows of which head come next.
//
// An item is up to kBlockQueries query rows of one head of one sequence, against all keys that they
// see, or those of one part of the sequence's keys.
// Order: sequences one after the other; in each, heads in sections; in a section the last rows
//        first, which see most under a causal mask; for each row block all heads of the section;
//        for each of them all parts. A section has the largest power of two of key heads that fits
//        into kSectionBytes, so that keys and values are read from memory once, however many row
//        blocks pass over them.
// Masks: bottom-right aligned. Query i of q sees key j of k with kCausal if j <= i + k - q, with
//        kWindow if i + k - q - window_left <= j <= i + k - q + window_right; with both,
//        window_right counts as 0.
// Parts: with kSplit, part p of a sequence's keys is its tiles from p * split_tiles to
//        (p + 1) * split_tiles, the last part the rest. Parts that the rows see nothing of are
//        items too.
// Taken: with work_counters dynamically: block i takes item i, then whichever nobody has taken.
//        Else statically: block i of g takes units i, i + g, ... A unit is an item; with kCausal,
//        without kSplit, when there are more items than blocks, it is two row blocks of a head, the
//        last and the first of those that are left, so that all units of a sequence are of one
//        length.
#pragma once

#include "attention_shared/tile.h"
#include "common/atomic.cuh"
#include "common/memory_int.cuh"

namespace cubinet {
namespace attention {

// What a batch is.
//
// Requires: sequences of one kind lie one after the other; those of negative length count as empty.
//           num_heads a multiple of heads_per_kv; fewer than 2^31 items; fewer than 2^31 tiles in
//           num_splits parts of split_tiles.
struct Batch {
  const int* cu_seqlens_q;      // [num_sequences + 1]: where each begins, in query tokens
  const int* cu_seqlens_k;      // [num_sequences + 1]: the same in keys; null: all at 0, with
                                // seqused_k
  unsigned int* work_counters;  // [2], both 0, and again at the end of the grid; null: without
  int num_sequences;
  int num_heads;  // of queries, or packs of as many that an item has beside each other
  int heads_per_kv;
  // Only with kPerSequence: [num_sequences], its length; null: what cu_seqlens say.
  const int* seqused_q = nullptr;
  const int* seqused_k = nullptr;
  // Only with kWindow: from 0 to 2^30.
  int window_left = 0;
  int window_right = 0;
  // Only with kSplit, both 1 or more.
  int num_splits = 1;
  int split_tiles = 1;
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
// Division is a struct of constants:
//   int kBlockQueries;   // query tokens of an item, at most
//   int kBlockKeys;      // keys of a tile
//   int kKeyValueBytes;  // of one key and one value of one head
//   bool kCausal, kWindow, kSplit;
//   bool kPerSequence;   // Work.sequence is given, else 0; lengths may be apart from cu_seqlens
//
// Requires: one warp calls it, all lanes together, after wait_for_previous_grids.
// Returns: Work whose first_whole and whole_tiles are in [first_tile, tiles]; all four are 0 where
//          its rows see nothing.
// Cost: all lengths are read once, 32 at a time; then an item is found without another access.
// Order: a block gives the counters back after its last item; the next grid may use them when this
//        one has ended.
template <class Division>
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
    unsigned int unit = number_ - (end - turns * units_of_turn());
    item.work.sequence = Division::kPerSequence ? first_sequence_ + static_cast<int>(lane) : 0;
    item.work.split = 0;
    if constexpr (Division::kSplit) {
      const unsigned int splits = static_cast<unsigned int>(batch_.num_splits);
      const unsigned int before = detail::divide(unit, splits);
      item.work.split = static_cast<int>(unit - before * splits);
      unit = before;
    }
    const Turn turn = find_turn(sequence.keys, turns, unit);
    // Counted from the first row block; a pair's other one from the last.
    const unsigned int blocks = blocks_of(sequence.queries);
    const unsigned int last = blocks - 1u - turn.number;
    const unsigned int block = has_second_ ? turn.number : last;
    has_second_ = is_paired_ && !has_second_ && last != turn.number;
    item.work.row = static_cast<int>(block * kBlockQueries);
    item.work.head = static_cast<int>(turn.head);
    describe(sequence, item);
    return true;
  }

 private:
  static constexpr int kBlockQueries = Division::kBlockQueries;
  static constexpr int kBlockKeys = Division::kBlockKeys;

  // Of a sequence's row blocks, or pairs of them, the one that is done at this turn for this head.
  struct Turn {
    unsigned int number;
    unsigned int head;
  };

  __device__ __forceinline__ unsigned int heads() const {
    return static_cast<unsigned int>(batch_.num_heads);
  }

  // Of all heads, and all parts.
  __device__ __forceinline__ unsigned int units_of_turn() const {
    return Division::kSplit ? heads() * static_cast<unsigned int>(batch_.num_splits) : heads();
  }

  __device__ __forceinline__ static unsigned int blocks_of(int queries) {
    return (static_cast<unsigned int>(queries) + (kBlockQueries - 1u)) / kBlockQueries;
  }

  // The first tile that begins at `key` or later.
  __device__ __forceinline__ static int tiles_up_to(int key) {
    return static_cast<int>((static_cast<unsigned int>(key) + (kBlockKeys - 1u)) / kBlockKeys);
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
    int first_key = 0;
    int end_key = 0;
    if (!Division::kPerSequence || batch_.cu_seqlens_k != nullptr) {
      first_key = load_int(batch_.cu_seqlens_k + at, is_one);
      end_key = load_int(batch_.cu_seqlens_k + at + 1, is_one);
    }
    int queries = end_query - first_query;
    int keys = end_key - first_key;
    if constexpr (Division::kPerSequence) {
      if (batch_.seqused_q != nullptr) queries = load_int(batch_.seqused_q + at, is_one);
      if (batch_.seqused_k != nullptr) keys = load_int(batch_.seqused_k + at, is_one);
    }
    own_ = {first_query, max(queries, 0), first_key, max(keys, 0)};
    if constexpr (Division::kCausal && !Division::kSplit) {
      // The first sequences speak for all: every block must come to the same end.
      if (first_sequence_ == 0 && batch_.work_counters == nullptr) {
        const unsigned int items = blocks_of(own_.queries) * heads();
        is_paired_ = __reduce_add_sync(detail::kAllLanes, items) > gridDim.x;
      }
    }
    end_ = turns_of(own_.queries) * units_of_turn();
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
    constexpr unsigned int kMostKeys = detail::kSectionBytes / Division::kKeyValueBytes;
    static_assert(kMostKeys >= 1u, "a key and its value must fit into a section");
    const int shift = max(__clz(keys) - __clz(static_cast<int>(kMostKeys)), 0);
    const unsigned int fits = (static_cast<unsigned int>(keys) << shift) <= kMostKeys ? 0u : 1u;
    const unsigned int kv_heads = max((1u << shift) >> fits, 1u);
    return min(min(kv_heads, heads()) * static_cast<unsigned int>(batch_.heads_per_kv), heads());
  }

  // `unit` counts from the sequence's first one, without parts; each head has `turns`.
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

  // Where the keys begin and end that a query sees which has `diagonal` keys up to its own place,
  // of a sequence that is not empty. Neither sum can overflow: `diagonal` is at most `keys`.
  __device__ __forceinline__ int begin_of(int diagonal) const {
    return Division::kWindow ? max(max(diagonal - 1, 0) - batch_.window_left, 0) : 0;
  }
  __device__ __forceinline__ int end_of(int diagonal, int keys) const {
    if constexpr (Division::kCausal) {
      return min(max(diagonal, 0), keys);
    } else if constexpr (Division::kWindow) {
      return max(min(diagonal, keys - batch_.window_right) + batch_.window_right, 0);
    } else {
      return keys;
    }
  }

  // The rows from `item.work.row` of the sequence on; also given: head, sequence, split.
  __device__ __forceinline__ void describe(const detail::Sequence& sequence, Item& item) const {
    Work& work = item.work;
    work.rows = min(kBlockQueries, sequence.queries - work.row);
    work.keys = sequence.keys;
    work.diagonal = work.row + 1 + sequence.keys - sequence.queries;
    work.row += sequence.first_query;
    work.kv_head = static_cast<int>(detail::divide(static_cast<unsigned int>(work.head),
                                                   static_cast<unsigned int>(batch_.heads_per_kv)));
    item.first_key = sequence.first_key;
    const int last_diagonal = work.diagonal + work.rows - 1;
    work.tiles = tiles_up_to(end_of(last_diagonal, work.keys));
    work.whole_tiles =
        static_cast<int>(static_cast<unsigned int>(end_of(work.diagonal, work.keys)) / kBlockKeys);
    work.first_tile =
        static_cast<int>(static_cast<unsigned int>(begin_of(work.diagonal)) / kBlockKeys);
    work.first_whole = tiles_up_to(begin_of(last_diagonal));
    if constexpr (Division::kSplit) cut_to_part(work);
    if constexpr (Division::kSplit || Division::kWindow) put_in_order(work);
  }

  __device__ __forceinline__ void cut_to_part(Work& work) const {
    const int begin = work.split * batch_.split_tiles;
    if (work.split < batch_.num_splits - 1)
      work.tiles = min(work.tiles, begin + batch_.split_tiles);
    work.first_tile = max(work.first_tile, begin);
  }

  __device__ __forceinline__ static void put_in_order(Work& work) {
    if (work.tiles <= work.first_tile) work.tiles = work.first_tile = 0;
    work.whole_tiles = min(max(work.whole_tiles, work.first_tile), work.tiles);
    work.first_whole = min(max(work.first_whole, work.first_tile), work.tiles);
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
