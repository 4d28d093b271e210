// paged_mqa_logits: weighted ReLU scores of FP8 queries against a paged FP8 key cache.
//
// logits[b * n + t, p] = scale[p] * sum over heads of weights[b * n + t, head] *
//                        max(0, sum over d of query[b, t, head, :] * key[p, :])
//
// Shapes: params.h.
// Launch: grid (workers), block (kNumThreads), smem_bytes_of(tile) of dynamic shared memory.
// Numerics: products of e4m3 as the tensor cores add them up; everything after in fp32.
// Source: DeepGEMM's fp8_paged_mqa_logits for the operands; the seed's kNextNAtom, kNumNextNAtoms
//         and kPadOddN.
#pragma once

#include "common/memory.cuh"
#include "common/sync.cuh"
#include "mqa_shared/clean.cuh"
#include "mqa_shared/score.cuh"
#include "paged_mqa_logits/loader.cuh"

namespace cubinet {
namespace paged_mqa_logits {

// The part of the batch that this block does.
template <class Config>
__device__ __forceinline__ mqa::schedule::Part find_part(const Params& params) {
  if constexpr (Config::HAS_SCHEDULE) {
    return mqa::schedule::load_part(params.schedule, blockIdx.x);
  } else {
    __shared__ mqa::schedule::FindPartMemory<32> memory;
    const mqa::schedule::Lengths lengths{params.context_lens, params.batch, Config::kNextN,
                                         params.max_context_len};
    return mqa::schedule::find_part<32>(lengths, blockIdx.x, gridDim.x, &memory);
  }
}

// -inf from each token's length on, by three warps of each block: pieces of rows in turns.
template <class Config>
__device__ __forceinline__ void clean(const Params& params, unsigned int warp) {
  using Logits = typename Config::LOGITS_TYPE;
  const unsigned int width = params.max_context_len;
  const unsigned int pieces = (width + mqa::kCleanColumns - 1) / mqa::kCleanColumns;
  const unsigned long long all =
      static_cast<unsigned long long>(params.batch) * Config::kNextN * pieces;
  for (unsigned long long i = blockIdx.x * 3ull + warp; i < all; i += gridDim.x * 3ull) {
    const unsigned long long row = i / pieces;
    const unsigned int first = static_cast<unsigned int>(i % pieces) * mqa::kCleanColumns;
    const unsigned int length =
        mqa::schedule::length_of(load_int(params.context_lens + row, true), width);
    mqa::clean_columns(
        static_cast<Logits*>(params.logits) + static_cast<long long>(row) * params.logits_stride,
        max(first, length), min(first + mqa::kCleanColumns, width));
  }
}

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using S = Shape<Config>;
  extern __shared__ unsigned char dynamic_shared_memory[];
  const Memory<S> memory(dynamic_shared_memory);
  if (threadIdx.x == 0) memory.init_barriers();
  __syncthreads();
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) allow_next_grids();
  const int warpgroup = warp_uniform(static_cast<int>(threadIdx.x / 128));
  if (warpgroup == 0) {
    const unsigned int warp = warp_uniform(threadIdx.x / 32);
    if (warp == 0) {
      prefetch_tensor_map(params.keys);
      prefetch_tensor_map(params.queries);
    }
    if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) wait_for_previous_grids();
    // Before the registers are given away: the search takes more of them than loading does.
    mqa::schedule::Part part{};
    if (warp == 0) part = find_part<Config>(params);
    register_release<S::kLoadRegisters>();
    if (warp == 0) {
      Loader<Config>{params, memory}.load_all(part);
    } else if constexpr (Config::CLEAN_LOGITS) {
      clean<Config>(params, warp - 1);
    }
  } else {
    register_allocate<S::kMathRegisters>();
    if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) wait_for_previous_grids();
    const typename S::Output output{static_cast<typename S::Logits*>(params.logits),
                                    params.logits_stride};
    mqa::score_all<S>(memory, warpgroup - 1, output);
  }
}

}  // namespace paged_mqa_logits
}  // namespace cubinet
