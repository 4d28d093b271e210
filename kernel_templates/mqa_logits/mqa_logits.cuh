// mqa_logits: weighted ReLU scores of FP8 queries against contiguous FP8 keys.
//
// score(i, p) = key_scales[p] * sum over heads of weights[i, head] *
//               max(0, sum over d of query[i, head, :] * keys[p, :]),  starts[i] <= p < ends[i]
//
// Shapes: params.h.
// Launch: grid (workers), block (kNumThreads), smem_bytes_of(tile) of dynamic shared memory.
// Division: groups of kBlockQ query tokens have the tiles of all keys that one of them sees; blocks
//           take equal shares of all these, in splits of 64 keys, and find them by themselves.
// Numerics: products of e4m3 as the tensor cores add them up; everything after in fp32.
// Source: DeepGEMM's fp8_mqa_logits for the operands.
#pragma once

#include "common/memory.cuh"
#include "mqa_logits/clean.cuh"
#include "mqa_logits/loader.cuh"
#include "mqa_shared/score.cuh"

namespace cubinet {
namespace mqa_logits {

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using S = Shape<Config>;
  extern __shared__ unsigned char dynamic_shared_memory[];
  __shared__ mqa::schedule::FindPartMemory<Config::kNumThreads> part_memory;
  const Memory<S> memory(dynamic_shared_memory);
  if (threadIdx.x == 0) {
    prefetch_tensor_map(params.keys);
    prefetch_tensor_map(params.key_scales);
    prefetch_tensor_map(params.queries);
    memory.init_barriers();
  }
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) {
    allow_next_grids();
    wait_for_previous_grids();
  }
  // Its barriers of the block also show everybody the new mbarriers.
  const TokenGroups<Config> groups{params,
                                   (params.num_tokens + Config::kBlockQ - 1) / Config::kBlockQ};
  const mqa::schedule::Part part =
      mqa::schedule::find_part<Config::kNumThreads, 1>(groups, blockIdx.x, gridDim.x, &part_memory);
  const int warpgroup = warp_uniform(static_cast<int>(threadIdx.x / 128));
  if (warpgroup == 0) {
    register_release<S::kLoadRegisters>();
    const unsigned int warp = warp_uniform(threadIdx.x / 32);
    if (warp == 0) {
      Loader<Config>{params, memory}.load_all(part);
    } else if constexpr (Config::CLEAN_LOGITS) {
      clean<Config>(params, warp - 1);
    }
  } else {
    register_allocate<S::kMathRegisters>();
    const typename S::Output output{static_cast<typename S::Logits*>(params.logits),
                                    params.logits_stride};
    mqa::score_all<S>(memory, warpgroup - 1, output);
  }
}

}  // namespace mqa_logits
}  // namespace cubinet
