// How the keys of a batch are divided over workers: what the scheduler and the kernels share.
//
// The unit is a split of kSplitTokens keys of one request. Splits count through the batch: those of
// request 0, then of request 1, and so on, T in all. Each of W workers takes T / W neighbouring
// ones, the last T % W workers one more. A place between two splits is (request, split within it),
// the end of all is (batch, 0); a request without splits is never the request of a place.
//
// Requires: T < 2^31, batch < 2^31 - 1024, W >= 1.
#pragma once

#include "common/memory_int.cuh"
#include "mqa_shared/split.h"

namespace cubinet {
namespace mqa {
namespace schedule {

// ---- Pure functions ----

// What the query tokens of a batch see.
struct Lengths {
  const int* context_lens;  // [batch, next_n]; below 0 counts as 0, beyond max_context_len as that
  unsigned int batch;
  unsigned int next_n;           // >= 1
  unsigned int max_context_len;  // < 2^31
};

__device__ __forceinline__ unsigned int length_of(int context_len, unsigned int max_context_len) {
  const unsigned int length = context_len > 0 ? static_cast<unsigned int>(context_len) : 0u;
  return length < max_context_len ? length : max_context_len;
}

__device__ __forceinline__ unsigned int splits_of(unsigned int length) {
  return (length + kSplitTokens - 1u) / kSplitTokens;
}

// Division of T splits over W workers.
struct Division {
  unsigned int splits;       // T / W
  unsigned int longer_from;  // workers from here on have one more
};

__device__ __forceinline__ Division divide_splits(unsigned int total, unsigned int workers) {
  const unsigned int splits = total / workers;
  return {splits, workers - (total - splits * workers)};
}

// The first split of a worker; that of worker W is T.
__device__ __forceinline__ unsigned int first_split(const Division& division, unsigned int worker) {
  const unsigned int longer = worker > division.longer_from ? worker - division.longer_from : 0u;
  return worker * division.splits + longer;
}

// The first worker whose first split is `split` or a later one. Requires: split <= T.
__device__ __forceinline__ unsigned int first_worker(const Division& division, unsigned int split) {
  if (split == 0) return 0;
  const unsigned int shorter = division.longer_from * division.splits;
  const bool is_longer = split > shorter;
  const unsigned int within = is_longer ? split - shorter : split;
  const unsigned int splits = is_longer ? division.splits + 1 : division.splits;
  return (is_longer ? division.longer_from : 0u) + (within + splits - 1) / splits;
}

// Part is what one worker does: from a place up to another. Nothing if they are equal.
struct Part {
  unsigned int first_request;
  unsigned int first_split;
  unsigned int end_request;
  unsigned int end_split;
};

// Splits of one request, [begin, end).
struct SplitRange {
  unsigned int begin;
  unsigned int end;
};

// What is to do of `request`, which has `splits`. Empty outside [first_request, end_request].
__device__ __forceinline__ SplitRange range_of(const Part& part, unsigned int request,
                                               unsigned int splits) {
  const bool inside = request >= part.first_request && request <= part.end_request;
  const unsigned int begin = request == part.first_request ? part.first_split : 0u;
  const unsigned int last = request == part.end_request ? part.end_split : splits;
  const unsigned int end = last < splits ? last : splits;
  return inside && begin < end ? SplitRange{begin, end} : SplitRange{0u, 0u};
}

// ---- From memory ----

// The part of `worker` in a schedule [W + 1, 2].
__device__ __forceinline__ Part load_part(const int* schedule, unsigned int worker) {
  const int* const entry = schedule + 2ull * worker;
  const int first_request = load_int(entry, true);
  const int first_split = load_int(entry + 1, true);
  const int end_request = load_int(entry + 2, true);
  const int end_split = load_int(entry + 3, true);
  return {static_cast<unsigned int>(first_request), static_cast<unsigned int>(first_split),
          static_cast<unsigned int>(end_request), static_cast<unsigned int>(end_split)};
}

// ---- A block counts the splits of a batch ----

// The lengths are a Lengths, or of any type that has a `batch` and, beside it, a
// load_longest(lengths, request, active) of its own: the keys of a request, or 0 if not active.
//
// Each warp looks after neighbouring requests, a group of 32 at a time, one per lane. They are read
// once; only where a place is wanted, and a warp has more than it keeps, they are read again.

constexpr unsigned int kLanes = 32;
constexpr unsigned int kAllLanes = 0xFFFFFFFFu;

// Requests [begin, end) of the calling warp, and where their splits lie among all. kGroups are read
// at a time, and kept.
template <unsigned int kGroups>
struct Share {
  unsigned int begin;
  unsigned int end;
  unsigned int first_split;
  unsigned int end_split;
  unsigned int total;            // T
  unsigned int splits[kGroups];  // of the last requests read
};

// How many groups, unless a caller says so: a warp that is alone has more to keep. Fewer are less
// code.
template <int kNumThreads>
constexpr unsigned int kGroupsOf = kNumThreads == kLanes ? 8 : 4;

// The splits of kCount groups from request `begin` on. No branch lies between the loads: all of
// them are in flight together.
template <unsigned int kCount, unsigned int kGroups, class Source>
__device__ __forceinline__ void load_some(const Source& lengths, unsigned int begin,
                                          Share<kGroups>& share) {
#pragma unroll
  for (unsigned int i = 0; i < kCount; ++i) {
    const unsigned int request = begin + i * kLanes + threadIdx.x % kLanes;
    share.splits[i] = splits_of(load_longest(lengths, request, request < share.end));
  }
}

template <unsigned int kCount, unsigned int kGroups>
__device__ __forceinline__ void load_some(const Lengths& lengths, unsigned int begin,
                                          Share<kGroups>& share) {
  constexpr unsigned int kTokens = 4;  // at a time
  const unsigned int mine = begin + threadIdx.x % kLanes;
  const unsigned long long next_n = lengths.next_n;
  const int* const row = lengths.context_lens + mine * next_n;
  int longest[kCount] = {};
#pragma unroll 1
  for (unsigned int token = 0; token < lengths.next_n; token += kTokens) {
    int length[kCount][kTokens];
#pragma unroll
    for (unsigned int i = 0; i < kCount * kTokens; ++i) {
      const unsigned int group = i / kTokens;
      const unsigned int at = token + i % kTokens;
      length[group][i % kTokens] =
          load_int(row + group * kLanes * next_n + at,
                   mine + group * kLanes < share.end && at < lengths.next_n);
    }
#pragma unroll
    for (unsigned int i = 0; i < kCount * kTokens; ++i) {
      int& most = longest[i / kTokens];
      const int value = length[i / kTokens][i % kTokens];
      most = value > most ? value : most;
    }
  }
#pragma unroll
  for (unsigned int i = 0; i < kCount; ++i) {
    share.splits[i] = splits_of(length_of(longest[i], lengths.max_context_len));
  }
}

template <unsigned int kGroups, class Source>
__device__ __forceinline__ void load_groups(const Source& lengths, unsigned int begin,
                                            Share<kGroups>& share) {
  if (kGroups > 1 && share.end - begin > kLanes) {
    load_some<kGroups>(lengths, begin, share);
  } else {
#pragma unroll
    for (unsigned int i = 1; i < kGroups; ++i) share.splits[i] = 0;
    load_some<1>(lengths, begin, share);
  }
}

// A single warp need not wait for others.
template <int kNumThreads>
__device__ __forceinline__ void synchronize() {
  if constexpr (kNumThreads == kLanes) {
    __syncwarp();
  } else {
    __syncthreads();
  }
}

// Requires: all threads of the block call it, kNumThreads in one dimension; or kNumThreads is 32,
//           and its first warp. warp_splits: shared memory, one per warp.
// Sync: synchronize<kNumThreads>() once, after which warp_splits is being read.
template <int kNumThreads, unsigned int kGroups = kGroupsOf<kNumThreads>, class Source>
__device__ __forceinline__ Share<kGroups> count_splits(const Source& lengths,
                                                       unsigned int* warp_splits) {
  static_assert(kNumThreads % 32 == 0 && kNumThreads >= 32 && kNumThreads <= 1024,
                "a block counts with whole warps, at most 32");
  constexpr unsigned int kWarps = kNumThreads / kLanes;
  const unsigned int warp = threadIdx.x / kLanes;
  const unsigned int lane = threadIdx.x % kLanes;
  const unsigned int groups = (lengths.batch + kNumThreads - 1) / kNumThreads;
  const unsigned int begin = warp * groups * kLanes;
  Share<kGroups> share;
  share.begin = begin < lengths.batch ? begin : lengths.batch;
  share.end =
      lengths.batch - share.begin < groups * kLanes ? lengths.batch : begin + groups * kLanes;
  unsigned int sum = 0;
#pragma unroll 1
  for (unsigned int first = share.begin; first < share.end; first += kGroups * kLanes) {
    load_groups(lengths, first, share);
#pragma unroll
    for (unsigned int i = 0; i < kGroups; ++i) sum += share.splits[i];
  }
  sum = __reduce_add_sync(kAllLanes, sum);
  if (lane == 0) warp_splits[warp] = sum;
  synchronize<kNumThreads>();
  const unsigned int other = lane < kWarps ? warp_splits[lane] : 0u;
  share.total = __reduce_add_sync(kAllLanes, other);
  share.first_split = __reduce_add_sync(kAllLanes, lane < warp ? other : 0u);
  share.end_split = share.first_split + sum;
  return share;
}

// A group of requests, one per lane, and which splits of all are theirs.
struct Group {
  unsigned int first_request;
  unsigned int begin;  // of this lane's request; without splits, or if there is none, = end
  unsigned int end;
  unsigned int group_end;
};

// The sum of `value` over this lane and those below.
__device__ __forceinline__ unsigned int inclusive_sum(unsigned int value) {
#pragma unroll
  for (unsigned int distance = 1; distance < kLanes; distance *= 2) {
    const unsigned int below = __shfl_up_sync(kAllLanes, value, distance);
    value += threadIdx.x % kLanes >= distance ? below : 0u;
  }
  return value;
}

// Calls visit(group), in order, for each group of the warp's share that holds a split where a place
// is wanted. wants(begin, end) says so of splits [begin, end), the same in all lanes; from `until`
// on there are none.
template <unsigned int kGroups, class Source, class Wants, class Visit>
__device__ __forceinline__ void visit_groups(const Source& lengths, Share<kGroups>& share,
                                             unsigned int until, const Wants& wants,
                                             const Visit& visit) {
  const bool read_again = share.end - share.begin > kGroups * kLanes;
  unsigned int begin = share.first_split;
  unsigned int turn = 0;
#pragma unroll 1
  for (unsigned int first = share.begin; first < share.end && begin < until;
       first += kLanes, ++turn) {
    if (read_again && turn % kGroups == 0) load_groups(lengths, first, share);
    const unsigned int splits = share.splits[0];
    const unsigned int end = begin + __reduce_add_sync(kAllLanes, splits);
    if (wants(begin, end)) {
      const unsigned int mine = begin + inclusive_sum(splits);
      visit(Group{first, mine - splits, mine, end});
    }
    begin = end;
#pragma unroll
    for (unsigned int i = 1; i < kGroups; ++i) share.splits[i - 1] = share.splits[i];
  }
}

// ---- A worker without a schedule ----

// Shared memory of find_part.
template <int kNumThreads>
struct FindPartMemory {
  unsigned int warp_splits[kNumThreads / 32];
  Part part;
};

// The part of `worker` of `workers`, from the lengths alone: what the scheduler gives it.
//
// Requires: as count_splits.
// Sync: synchronize<kNumThreads>() twice; on return `memory` is still being read.
// Cost: each block reads all lengths, once.
template <int kNumThreads, unsigned int kGroups = kGroupsOf<kNumThreads>, class Source>
__device__ __forceinline__ Part find_part(const Source& lengths, unsigned int worker,
                                          unsigned int workers,
                                          FindPartMemory<kNumThreads>* memory) {
  auto share = count_splits<kNumThreads, kGroups>(lengths, memory->warp_splits);
  const Division division = divide_splits(share.total, workers);
  const unsigned int first = first_split(division, worker);
  const unsigned int end = first_split(division, worker + 1);
  const auto holds = [](unsigned int split, unsigned int from, unsigned int to) {
    return from <= split && split < to;
  };
  const auto wants = [&](unsigned int from, unsigned int to) {
    return holds(first, from, to) || holds(end, from, to);
  };
  if (wants(share.first_split, share.end_split)) {
    visit_groups(lengths, share, end + 1, wants, [&](const Group& group) {
      const unsigned int request = group.first_request + threadIdx.x % kLanes;
      if (holds(first, group.begin, group.end)) {
        memory->part.first_request = request;
        memory->part.first_split = first - group.begin;
      }
      if (holds(end, group.begin, group.end)) {
        memory->part.end_request = request;
        memory->part.end_split = end - group.begin;
      }
    });
  }
  synchronize<kNumThreads>();
  Part part = memory->part;
  // No request holds the end of all.
  if (first == share.total) {
    part.first_request = lengths.batch;
    part.first_split = 0;
  }
  if (end == share.total) {
    part.end_request = lengths.batch;
    part.end_split = 0;
  }
  return part;
}

}  // namespace schedule
}  // namespace mqa
}  // namespace cubinet
