// paged_mqa_logits_metadata: divides the keys of a batch over the workers of paged_mqa_logits.
//
// Shapes, units, requirements: paged_mqa_logits_metadata/params.h; the division itself:
//         mqa_shared/schedule.cuh.
// Launch: grid (1), block (THREADS), static shared memory alone. As a programmatic dependent only
//         with PROGRAMMATIC_DEPENDENT_LAUNCH, which waits before the first read.
// Result: depends on the lengths alone; no entry is written twice.
// Bytes:  4 * b * n read once, and once more by warps with over 128 requests; 8 * (num_workers + 1)
//         written. Bound by latency: one round trip to memory, one barrier, two scans of a warp.
#pragma once

#include "common/memory.cuh"
#include "common/memory_int.cuh"
#include "mqa_shared/schedule.cuh"
#include "paged_mqa_logits_metadata/params.h"

namespace cubinet {
namespace paged_mqa_logits_metadata {

namespace schedule = mqa::schedule;

__device__ __forceinline__ void store_place(const Params& params, unsigned int worker,
                                            unsigned int request, unsigned int split) {
  int* const entry = params.schedule + 2ull * worker;
  store_int(entry, static_cast<int>(request));
  store_int(entry + 1, static_cast<int>(split));
}

// Workers from `first` to the last whose first split lies in the group, one per lane at a time.
// Returns: the one after that. Requires: a whole warp.
__device__ __forceinline__ unsigned int store_workers(const Params& params,
                                                      const schedule::Division& division,
                                                      const schedule::Group& group,
                                                      unsigned int first) {
  const unsigned int end = schedule::first_worker(division, group.group_end);
#pragma unroll 1
  for (; first < end; first += schedule::kLanes) {
    const unsigned int worker = first + threadIdx.x % schedule::kLanes;
    const unsigned int split = schedule::first_split(division, worker);
    // The request that holds a split: so many end at it or before.
    unsigned int request = 0;
#pragma unroll
    for (unsigned int step = schedule::kLanes / 2; step != 0; step /= 2) {
      const unsigned int ends = __shfl_sync(schedule::kAllLanes, group.end, request + step - 1);
      if (ends <= split) request += step;
    }
    const unsigned int begin = __shfl_sync(schedule::kAllLanes, group.begin, request);
    if (worker < end) store_place(params, worker, group.first_request + request, split - begin);
  }
  return end;
}

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) {
    allow_next_grids();
    wait_for_previous_grids();
  }
  __shared__ unsigned int warp_splits[Config::THREADS / schedule::kLanes];
  const schedule::Lengths lengths{params.context_lens, params.batch, params.next_n,
                                  params.max_context_len};
  auto share = schedule::count_splits<Config::THREADS>(lengths, warp_splits);
  const schedule::Division division = schedule::divide_splits(share.total, params.num_workers);
  unsigned int worker = schedule::first_worker(division, share.first_split);
  const auto wants = [&](unsigned int, unsigned int end) {
    return schedule::first_split(division, worker) < end;
  };
  schedule::visit_groups(lengths, share, share.total, wants, [&](const schedule::Group& group) {
    worker = store_workers(params, division, group, worker);
  });
  // No request holds the end of all: the last entry, and in a batch without splits every one.
  const unsigned int first = share.total == 0 ? 0 : params.num_workers;
#pragma unroll 1
  for (unsigned int i = first + threadIdx.x; i <= params.num_workers; i += Config::THREADS) {
    store_place(params, i, params.batch, 0);
  }
}

}  // namespace paged_mqa_logits_metadata
}  // namespace cubinet
