// mla_prefill: attention of prefill on Hopper, bf16 in, with FP8 output if asked for.
//
// Shapes: params.h.
// Launch: grid (any number of blocks), block (kNumThreads), smem_bytes_of(tile) of dynamic shared
//         memory. Blocks take items of 64 query rows per math warpgroup
//         (attention_shared/work.cuh).
// Numerics: products of bf16 in fp32 as the tensor cores add them up; softmax in fp32; weights
//           rounded to bf16 for the product with the values; one rounding to the output's type.
// Source: Dao 2023, FlashAttention-2, for the method; Shah et al. 2024, FlashAttention-3, 3.2, for
//         scores of the next tile beside the values of this one.
#pragma once

#include "attention_shared/descriptor.cuh"
#include "attention_shared/epilogue.cuh"
#include "attention_shared/softmax.cuh"
#include "common/memory.cuh"
#include "common/swizzle.cuh"
#include "common/wgmma_bf16.cuh"
#include "mla_prefill/loader.cuh"

namespace cubinet {
namespace mla_prefill {

// Math is the state of a math warpgroup.
template <class Config>
struct Math {
  using S = Shape<Config>;
  using Ring = cubinet::Ring<Config::kNumStages>;
  static constexpr int kBlockN = Config::kBlockN;
  // Keys of a tile's first part: half of the tile that is fastest. Others have one part: of most
  // the assembler would serialise products of two widths.
  static constexpr int kFirstPart = kBlockN == 128 && Config::kHeadDim > 64 ? 64 : kBlockN;
  static constexpr int kHeadDimV = Config::kHeadDimV;
  static constexpr int kSlabBytes = kBlockN * 128;  // of keys and values
  static constexpr unsigned int kThreads = 128 * S::kMathWarpgroups;

  const Params& params;
  const attention::Memory<S>& memory;
  int warpgroup;
  Ring keys{};
  Ring values{};
  unsigned int query_parity = 0;

  // Of the current item.
  attention::SoftmaxRows rows;
  float output[kHeadDimV / 2];
  unsigned int weights[kBlockN / 16][4];
  float correction[2];  // of the output, before the next product is added to it

  // One lane of each math warp.
  __device__ __forceinline__ static void release(Mbarrier* empty) {
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty);
  }

  // ---- Turns ----

  static constexpr unsigned int kFirstTurn = 2;  // named barrier of warpgroup 0

  __device__ __forceinline__ void take_turn() const {
    if constexpr (Config::TAKE_TURNS) named_barrier_sync(kFirstTurn + warpgroup, 256);
  }
  __device__ __forceinline__ void pass_turn() const {
    if constexpr (Config::TAKE_TURNS) {
      const int next = warpgroup + 1 == S::kMathWarpgroups ? 0 : warpgroup + 1;
      named_barrier_arrive(kFirstTurn + next, 256);
    }
  }

  // ---- Products ----

  // Scores against the first COUNT keys of the tile: issued, not waited for.
  template <int COUNT>
  __device__ __forceinline__ void issue_scores(float (&scores)[COUNT / 2]) const {
    const unsigned long long q = attention::uniform_descriptor(
        SwizzledTile<128>::descriptor(memory.queries() + warpgroup * 64 * 128));
    const unsigned long long k =
        attention::uniform_descriptor(SwizzledTile<128>::descriptor(memory.keys(keys.stage)));
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < Config::kHeadDim / 16; ++step) {
      const int slab = step / 4;
      const int within = step % 4 * 32;
      wgmma_bf16_ss<COUNT>(scores,
                           attention::advance_uniform(q, slab * S::kTile.block_m * 128 + within),
                           attention::advance_uniform(k, slab * kSlabBytes + within), step != 0);
    }
    wgmma_commit_group();
  }

  // Output = correction * output + weights * values of the tile: issued, not waited for. The first
  // product of an item sets the output.
  __device__ __forceinline__ void issue_output(bool accumulate) {
    const unsigned long long v = attention::uniform_descriptor(
        MajorTile<128>::descriptor(memory.values(values.stage), kSlabBytes));
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < kBlockN / 16; ++step) {
      wgmma_bf16_rs<kHeadDimV, true>(output, weights[step],
                                     attention::advance_uniform(v, step * 16 * 128),
                                     accumulate || step != 0);
    }
    wgmma_commit_group();
  }

  // ---- Tiles ----

  // Values beyond the sequence's last key are another's: 0 times a NaN among them would be a NaN.
  // All math warpgroups clear a part each, and meet.
  __device__ __forceinline__ void clear_values(int valid) const {
    const unsigned int thread = threadIdx.x - 128;
    unsigned char* const tile = memory.values(values.stage);
    constexpr int kChunksPerRow = kHeadDimV / 8;
    for (int i = static_cast<int>(thread); i < (kBlockN - valid) * kChunksPerRow; i += kThreads) {
      // Chunks stay within their row, swizzled or not, and a row is cleared whole.
      const int row = valid + i / kChunksPerRow;
      const int chunk = i % kChunksPerRow;
      *reinterpret_cast<uint4*>(tile + chunk / 8 * kSlabBytes + row * 128 + chunk % 8 * 16) =
          uint4{0, 0, 0, 0};
    }
    fence_proxy_async_shared();
    named_barrier_sync<1>(kThreads);
  }

  __device__ __forceinline__ void wait_for_values() const {
    mbarrier_wait_parity(memory.value_full(values.stage), values.parity);
  }

  // Where a tile has more rows than the sequence has keys. Not within a turn: others are met.
  __device__ __forceinline__ void clear_values_if_short(const attention::Work& work,
                                                        int tile) const {
    const int valid = work.keys - tile * kBlockN;
    if (valid >= kBlockN) return;
    wait_for_values();
    clear_values(valid);
  }

  // Turns the scores of `tile` into weights.
  template <bool EXACT>
  __device__ __forceinline__ void weigh(float (&scores)[kBlockN / 2], const attention::Work& work,
                                        int tile) {
    if (EXACT || tile >= work.whole_tiles) {
      const int first = tile * kBlockN;
      const int row = warpgroup * 64 + threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4;
      int limit[2];
#pragma unroll
      for (int i = 0; i < 2; ++i) {
        limit[i] = work.keys - first;
        if constexpr (Config::CAUSAL) limit[i] = min(limit[i], row + 8 * i + work.diagonal - first);
      }
      attention::mask(scores, limit);
    }
    rows.template weigh<EXACT>(scores, params.softmax_scale_log2, correction);
  }

  // And the queries with the last keys: the next ones land while this item is finished.
  __device__ __forceinline__ void release_keys(int tile) {
    release(memory.key_empty(keys.stage));
    keys.advance();
    if (tile == 0) release(memory.query_empty());
  }

  __device__ __forceinline__ void release_values() {
    release(memory.value_empty(values.stage));
    values.advance();
  }

  // The last tile, of which a warpgroup may see no more than the first part.
  __device__ __forceinline__ void first_step(const attention::Work& work) {
    const int tile = work.tiles - 1;
    int end = work.keys;
    if constexpr (Config::CAUSAL) end = min(end, warpgroup * 64 + 63 + work.diagonal);
    const bool is_whole = kFirstPart == kBlockN || end - tile * kBlockN > kFirstPart;
    float scores[kBlockN / 2];
    mbarrier_wait_parity(memory.key_full(keys.stage), keys.parity);
    take_turn();
    if (is_whole) {
      issue_scores<kBlockN>(scores);
      pass_turn();
      wgmma_wait_group<0>();
    } else {
      float part[kFirstPart / 2];
      issue_scores<kFirstPart>(part);
      pass_turn();
      wgmma_wait_group<0>();
      wgmma_keep_order(part);
#pragma unroll
      for (int i = 0; i < kBlockN / 2; ++i) {
        scores[i] = i < kFirstPart / 2 ? part[i % (kFirstPart / 2)] : attention::minus_infinity();
      }
    }
    wgmma_keep_order(scores);
    release_keys(tile);
    weigh<true>(scores, work, tile);
    attention::pack_weights(weights, scores);
  }

  // The scores of `tile`, then the product with the values of the tile after it beside the softmax.
  __device__ __forceinline__ void step(const attention::Work& work, int tile, bool accumulate) {
    float scores[kBlockN / 2];
    mbarrier_wait_parity(memory.key_full(keys.stage), keys.parity);
    clear_values_if_short(work, tile + 1);
    take_turn();
    issue_scores<kBlockN>(scores);
    add_output(accumulate);
    pass_turn();
    wgmma_wait_group<1>();
    wgmma_keep_order(scores);
    release_keys(tile);
    weigh<false>(scores, work, tile);
    // One row's weights before the wait, the other's after it: faster than all or none of them.
    attention::find_now(rows.sum[0], memory.work());
    wgmma_wait_group<0>();
    wgmma_keep_order(output);
    release_values();
    attention::pack_weights(weights, scores);
  }

  // The output is corrected while the scores are found.
  __device__ __forceinline__ void add_output(bool accumulate) {
    wait_for_values();
    attention::correct(output, correction);
    issue_output(accumulate);
  }

  __device__ __forceinline__ void attend(const attention::Work& work) {
    first_step(work);
    correction[0] = correction[1] = 1.0f;
    bool accumulate = false;
#pragma unroll 1
    for (int tile = work.tiles - 2; tile >= 0; --tile) {
      step(work, tile, accumulate);
      accumulate = true;
    }
    clear_values_if_short(work, 0);
    add_output(accumulate);
    wgmma_wait_group<0>();
    wgmma_keep_order(output);
    release_values();
  }

  // ---- Items ----

  __device__ __forceinline__ float load_inverse_scale() const {
    if constexpr (Config::USE_FP8_OUTPUT && Config::FP8_GROUP_SIZE == 0) {
      return reciprocal_ieee(load_float(params.output_scale, true));
    }
    return 1.0f;
  }

  __device__ __forceinline__ void store(const attention::Work& work, float inverse_scale) {
    rows.finish();
    attention::RowResults results;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const bool is_empty = rows.sum[i] == 0.0f;
      if (is_empty) {
        // Whatever its values are, which are no keys of these rows.
#pragma unroll
        for (int j = 2 * i; j < kHeadDimV / 2; j += 4) output[j] = output[j + 1] = 0.0f;
      }
      results.factor[i] = is_empty ? 0.0f : reciprocal_ieee(rows.sum[i]) * inverse_scale;
      results.lse[i] = rows.lse(i, params.softmax_scale_log2);
    }
    attention::store_rows<Config>(
        output, results,
        {params.out, params.lse, params.group_scales, params.out_token_stride,
         params.out_head_stride, params.lse_head_stride, params.scale_token_stride,
         params.scale_group_stride},
        {work.row + warpgroup * 64, work.rows - warpgroup * 64, work.head});
  }

  __device__ __forceinline__ void attend_to_all() {
    if (Config::TAKE_TURNS && warpgroup == S::kMathWarpgroups - 1) pass_turn();
    const float inverse_scale = load_inverse_scale();
#pragma unroll 1
    for (;;) {
      mbarrier_wait_parity(memory.query_full(), query_parity);
      query_parity ^= 1u;
      const attention::Work work = memory.read_work();
      if (work.tiles < 0) break;
      rows = attention::SoftmaxRows{};
      if (work.tiles == 0) {
        release(memory.query_empty());
#pragma unroll
        for (float& value : output) value = 0.0f;
      } else {
        attend(work);
      }
      store(work, inverse_scale);
    }
  }
};

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using S = Shape<Config>;
  extern __shared__ unsigned char dynamic_shared_memory[];
  const attention::Memory<S> memory(dynamic_shared_memory);
  if (threadIdx.x == 0) {
    prefetch_tensor_map(params.q);
    prefetch_tensor_map(params.k);
    prefetch_tensor_map(params.v);
    if constexpr (Config::kRopeDim != 0) prefetch_tensor_map(params.k_rope);
    memory.init_barriers();
  }
  __syncthreads();
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) {
    allow_next_grids();
    wait_for_previous_grids();
  }
  const int warpgroup = warp_uniform(static_cast<int>(threadIdx.x / 128));
  if (warpgroup == 0) {
    if constexpr (S::kMathWarpgroups > 1) register_release<S::kLoadRegisters>();
    if (warp_uniform(threadIdx.x / 32) == 0) Loader<Config>{params, memory}.load_all();
  } else {
    if constexpr (S::kMathWarpgroups > 1) register_allocate<S::kMathRegisters>();
    Math<Config>{params, memory, warpgroup - 1}.attend_to_all();
  }
}

}  // namespace mla_prefill
}  // namespace cubinet
