// fp8_attention: attention of e4m3 queries, keys and values on Hopper, whose sums with the values
// are kept in fp32 over the key tiles.
//
// Shapes: params.h.
// Launch: grid (any number of blocks), block (kNumThreads), smem_bytes_of(tile) of dynamic shared
//         memory. Blocks take items of 64 query rows per math warpgroup
//         (attention_shared/work.cuh), kPackGqa heads of each token.
// Numerics: products of e4m3 as the tensor cores add them up, which keep about 13 bits; softmax in
//           fp32; weights as softmax.cuh says. The products with the values of a tile, kChunk
//           elements at a time, begin at 0 and are added to fp32 with the correction of what was
//           there: one fused multiply-add in the place of the multiplication that the correction
//           costs anyway.
// Source: Shah et al. 2024, FlashAttention-3, for the method; DeepSeek-V3 technical report, 3.3.2,
//         for sums in two levels.
#pragma once

#include "fp8_attention/loader.cuh"
#include "fp8_attention/math.cuh"
#include "fp8_attention/transpose.cuh"

namespace cubinet {
namespace fp8_attention {

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using S = Shape<Config>;
  extern __shared__ unsigned char dynamic_shared_memory[];
  const Memory<S> memory(dynamic_shared_memory);
  if (threadIdx.x == 0) {
    prefetch_tensor_map(params.q);
    prefetch_tensor_map(params.k);
    prefetch_tensor_map(params.v);
    memory.init_barriers();
  }
  __syncthreads();
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) {
    allow_next_grids();
    wait_for_previous_grids();
  }
  const int warpgroup = same_in_all_lanes(static_cast<int>(threadIdx.x / 128));
  if (warpgroup == 0) {
    if constexpr (S::kDealsRegisters) register_release<S::kLoadRegisters>();
    const int warp = warp_uniform(static_cast<int>(threadIdx.x / 32));
    if (warp == 0) {
      Loader<Config>{params, memory}.load_all();
    } else {
      Transposer<Config>{memory, warp - 1}.transpose_all();
    }
  } else {
    if constexpr (S::kDealsRegisters) register_allocate<S::kMathRegisters>();
    Math<Config>{params, memory, warpgroup - 1}.attend_to_all();
  }
}

}  // namespace fp8_attention
}  // namespace cubinet
