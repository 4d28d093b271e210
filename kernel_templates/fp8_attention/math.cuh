// The warpgroups of fp8_attention that calculate: scores, softmax, and products with the values.
#pragma once

#include "attention_shared/descriptor.cuh"
#include "common/memory.cuh"
#include "common/swizzle.cuh"
#include "common/wgmma_e4m3.cuh"
#include "fp8_attention/memory.cuh"
#include "fp8_attention/shape.cuh"
#include "fp8_attention/softmax.cuh"
#include "fp8_attention/store.cuh"

namespace cubinet {
namespace fp8_attention {

// Math is the state of a math warpgroup.
template <class Config>
struct Math {
  using S = Shape<Config>;
  using Ring = cubinet::Ring<Config::kNumStages>;
  static constexpr int kBlockN = Config::kBlockN;
  static constexpr int kHeadDimV = Config::kHeadDimV;
  static constexpr int kChunk = Config::kChunk;
  static constexpr int kInterval = Config::kAccumInterval;

  const Params& params;
  const Memory<S>& memory;
  int warpgroup;
  Ring tiles{};  // the next one whose values are added; keys are there or one ahead
  unsigned int query_parity = 0;

  // Of the current item.
  SoftmaxRows rows;
  float scale;           // of scores, in units of log2
  float softcap_factor;  // only with SOFTCAP
  float output[kHeadDimV / 2];
  unsigned int weights[kBlockN / 32][4];
  float correction[2];  // of what was added up before the weights
  // With kInterval 2 and up: sums of the last `kept_tiles` tiles, and what the output before them
  // is to be multiplied by. With 0 only whether the output has any.
  float kept[kInterval > 1 ? kChunk / 2 : 1];
  float pending[2];
  int kept_tiles;

  // One lane of each math warp.
  __device__ __forceinline__ static void release(Mbarrier* empty) {
    if (threadIdx.x % 32 == 0) mbarrier_arrive(empty);
  }

  // ---- Products ----

  // Scores against the keys of a tile: issued, not waited for.
  __device__ __forceinline__ void issue_scores(float (&scores)[kBlockN / 2], int stage) const {
    using Operand = SwizzledTile<S::kSlab>;
    const unsigned long long q = attention::uniform_descriptor(
        Operand::descriptor(memory.queries() + warpgroup * 64 * S::kSlab));
    const unsigned long long k =
        attention::uniform_descriptor(Operand::descriptor(memory.keys(stage)));
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < Config::kHeadDim / 32; ++step) {
      const int slab = step * 32 / S::kSlab;
      const int within = step * 32 % S::kSlab;
      wgmma_e4m3_ss<kBlockN>(
          scores, attention::advance_uniform(q, slab * S::kTile.block_m * S::kSlab + within),
          attention::advance_uniform(k, slab * kBlockN * S::kSlab + within), step != 0);
    }
    wgmma_commit_group();
  }

  // Weights times elements [chunk * kChunk, ...) of the values: issued, not waited for.
  __device__ __forceinline__ void issue_chunk(float (&sums)[kChunk / 2], int chunk,
                                              bool accumulate) const {
    const unsigned long long v = attention::uniform_descriptor(
        SwizzledTile<S::kKeySlab>::descriptor(memory.values(tiles.stage)));
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < kBlockN / 32; ++step) {
      const int slab = step * 32 / S::kKeySlab;
      const int within = step * 32 % S::kKeySlab;
      wgmma_e4m3_rs<kChunk>(
          sums, weights[step],
          attention::advance_uniform(v, (slab * kHeadDimV + chunk * kChunk) * S::kKeySlab + within),
          accumulate || step != 0);
    }
    wgmma_commit_group();
  }

  // Output = factor * output + sums, of one chunk.
  __device__ __forceinline__ void promote(const float (&sums)[kChunk / 2], int chunk,
                                          const float (&factor)[2]) {
#pragma unroll
    for (int i = 0; i < kChunk / 2; ++i) {
      float& own = output[chunk * (kChunk / 2) + i];
      own = __fmaf_rn(own, factor[i / 2 % 2], sums[i]);
    }
  }

  // Where products with values are summed up: as long as kInterval says.
  __device__ __forceinline__ float (&sums_of(float (&of_tile)[kChunk / 2]))[kChunk / 2] {
    if constexpr (kInterval == 0) {
      return output;
    } else if constexpr (kInterval == 1) {
      return of_tile;
    } else {
      return kept;
    }
  }

  // Issues the product of the weights with the values; of several chunks the first.
  __device__ __forceinline__ void begin_product(float (&sums)[kChunk / 2]) {
    mbarrier_wait_parity(memory.value_full(tiles.stage), tiles.parity);
    if constexpr (kInterval == 1) {
      issue_chunk(sums, 0, false);
    } else {
      attention::correct(sums, correction);
      if constexpr (kInterval > 1) {
        pending[0] *= correction[0];
        pending[1] *= correction[1];
      }
      issue_chunk(sums, 0, kept_tiles != 0);
      ++kept_tiles;
    }
  }

  // Waits for a chunk, adds it up and issues the next one.
  __device__ __forceinline__ void finish_chunk(float (&sums)[kChunk / 2], int chunk) {
    wgmma_wait_group<0>();
    wgmma_keep_order(sums);
    if constexpr (kInterval == 1) promote(sums, chunk, correction);
    // Never true, but the assembler cannot know and leaves the sums where they are: with other
    // registers for each chunk they would spill.
    if (chunk + 1 < S::kChunks) issue_chunk(sums, chunk + 1, params.num_sequences < 0);
  }

  __device__ __forceinline__ void release_values() {
    if constexpr (kInterval > 1) {
      if (kept_tiles == kInterval) promote_kept();
    }
    release(memory.value_empty(tiles.stage));
    tiles.advance();
  }

  __device__ __forceinline__ void promote_kept() {
    promote(kept, 0, pending);
    pending[0] = pending[1] = 1.0f;
    kept_tiles = 0;
  }

  // ---- Tiles ----

  // The thread's first row in the block; its other one is 8 after it.
  __device__ __forceinline__ int own_row() const {
    return warpgroup * 64 + static_cast<int>(threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4);
  }

  __device__ __forceinline__ void mask_tile(float (&scores)[kBlockN / 2],
                                            const attention::Work& work, int tile) const {
    const int first = tile * kBlockN;
    const int row = own_row();
    int begin[2];
    int end[2];
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const int place = work.diagonal + (row + 8 * i) / Config::kPackGqa - first;
      begin[i] = end[i] = work.keys - first;
      if constexpr (Config::WINDOW) {
        begin[i] = place - 1 - params.window_left;
        end[i] = min(end[i], place + params.window_right);
      } else if constexpr (Config::CAUSAL) {
        end[i] = min(end[i], place);
      }
    }
    mask<Config::WINDOW>(scores, begin, end);
  }

  // Takes note of the scores of `tile`; `next` is what was added up before is to be multiplied by.
  __device__ __forceinline__ void note_scores(float (&scores)[kBlockN / 2],
                                              const attention::Work& work, int tile,
                                              float (&next)[2]) {
    if constexpr (Config::SOFTCAP) cap(scores, softcap_factor);
    if (tile >= work.whole_tiles || (Config::WINDOW && tile < work.first_whole)) {
      mask_tile(scores, work, tile);
    }
    rows.find_largest(scores, scale, next);
  }

  __device__ __forceinline__ void begin_scores(float (&scores)[kBlockN / 2],
                                               const Ring& keys) const {
    mbarrier_wait_parity(memory.key_full(keys.stage), keys.parity);
    issue_scores(scores, keys.stage);
  }

  __device__ __forceinline__ void release_keys(const attention::Work& work, int tile,
                                               int stage) const {
    release(memory.key_empty(stage));
    // The next queries land while this item is finished.
    if (tile == work.first_tile) release(memory.query_empty());
  }

  // The scores of `tile` become the weights, nothing beside them.
  __device__ __forceinline__ void score(const attention::Work& work, int tile) {
    float scores[kBlockN / 2];
    begin_scores(scores, tiles);
    wgmma_wait_group<0>();
    wgmma_keep_order(scores);
    release_keys(work, tile, tiles.stage);
    note_scores(scores, work, tile, correction);
    rows.weigh(scores, scale, correction);
    pack_weights(weights, scores);
  }

  // Adds the product of the weights with their values to the output.
  __device__ __forceinline__ void add_values() {
    float of_tile[kChunk / 2];
    float(&sums)[kChunk / 2] = sums_of(of_tile);
    begin_product(sums);
#pragma unroll
    for (int chunk = 0; chunk < S::kChunks; ++chunk) finish_chunk(sums, chunk);
    release_values();
  }

  // The scores of `tile`, and beside the softmax the product with the values of the tile after it.
  __device__ __forceinline__ void score_beside_values(const attention::Work& work, int tile) {
    float scores[kBlockN / 2];
    float of_tile[kChunk / 2];
    float(&sums)[kChunk / 2] = sums_of(of_tile);
    float next[2];
    Ring ahead = tiles;
    ahead.advance();
    begin_scores(scores, ahead);
    begin_product(sums);
    wgmma_wait_group<1>();
    wgmma_keep_order(scores);
    release_keys(work, tile, ahead.stage);
    note_scores(scores, work, tile, next);
    rows.weigh(scores, scale, next);
#pragma unroll
    for (int chunk = 0; chunk < S::kChunks; ++chunk) finish_chunk(sums, chunk);
    release_values();
    pack_weights(weights, scores);
    correction[0] = next[0];
    correction[1] = next[1];
  }

  __device__ __forceinline__ void attend(const attention::Work& work) {
    clear_output();
    score(work, work.tiles - 1);
#pragma unroll 1
    for (int tile = work.tiles - 2; tile >= work.first_tile; --tile) {
      if constexpr (Config::OVERLAP) {
        score_beside_values(work, tile);
      } else {
        add_values();
        score(work, tile);
      }
    }
    add_values();
    if constexpr (kInterval > 1) {
      if (kept_tiles != 0) promote_kept();
    }
  }

  __device__ __forceinline__ void clear_output() {
#pragma unroll
    for (float& value : output) value = 0.0f;
    if constexpr (kInterval != 1) {
      pending[0] = pending[1] = 1.0f;
      kept_tiles = 0;
    }
  }

  // ---- Items ----

  __device__ __forceinline__ static float load_descale(const Descale& descale,
                                                       const attention::Work& work) {
    if (descale.data == nullptr) return 1.0f;
    return load_float(descale.data + (work.sequence * descale.sequence_stride +
                                      work.kv_head * descale.head_stride),
                      true);
  }

  __device__ __forceinline__ void load_scales(const attention::Work& work) {
    const float product =
        load_descale(params.q_descale, work) * load_descale(params.k_descale, work);
    scale = params.softmax_scale_log2;
    if constexpr (Config::SOFTCAP) {
      softcap_factor = params.softcap_factor * product;
    } else {
      // A factor of 0 makes all scores 0; but -infinity, where there is no key, times 0 is a NaN.
      scale = __fmaf_rn(scale, product, 0x1p-100f);
    }
  }

  // The score of one more key of the thread's row i.
  __device__ __forceinline__ float load_sink(const attention::Work& work, int i) const {
    const unsigned int bits = params.sinks[work.head + (own_row() + 8 * i) % Config::kPackGqa];
    return __uint_as_float(bits << 16);
  }

  // One more key of this score and no value.
  __device__ __forceinline__ void add_sink(float sink, int i, float factor,
                                           RowResults& results) const {
    if (rows.sum[i] == 0.0f) {
      results.lse[i] = sink;
      return;
    }
    // Either of them may be the larger by far.
    const float own = rows.largest[i] * scale;
    const float largest = maximum(own, sink * kLog2E);
    const float share = rows.sum[i] * exp2_approx(own - largest);
    const float sum = share + exp2_approx(sink * kLog2E - largest + SoftmaxRows::kShift);
    results.factor[i] = exp2_approx(own - largest) * reciprocal_ieee(sum) * factor;
    results.lse[i] = (largest - SoftmaxRows::kShift + log2_approx(sum)) * kLn2;
  }

  __device__ __forceinline__ void store(const attention::Work& work, float inverse_scale) {
    rows.finish();
    const float factor = load_descale(params.v_descale, work) * inverse_scale;
    RowResults results;
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      const bool is_empty = rows.sum[i] == 0.0f;
      results.lse[i] = rows.lse(i, scale);
      results.factor[i] = is_empty ? 0.0f : reciprocal_ieee(rows.sum[i]) * factor;
      if constexpr (Config::SINKS) {
        // Of parts, the first one has it.
        if (work.split == 0) add_sink(load_sink(work, i), i, factor, results);
      }
      if (is_empty) {
        // Whatever its values are, which are no keys of these rows.
#pragma unroll
        for (int j = 2 * i; j < kHeadDimV / 2; j += 4) output[j] = output[j + 1] = 0.0f;
      }
    }
    Store<Config>::store(output, results, params, work, warpgroup * 64);
  }

  __device__ __forceinline__ void attend_to_all() {
    float inverse_scale = 1.0f;
    if constexpr (Config::USE_FP8_OUTPUT) {
      inverse_scale = reciprocal_ieee(load_float(params.output_scale, true));
    }
#pragma unroll 1
    for (;;) {
      mbarrier_wait_parity(memory.query_full(), query_parity);
      const attention::Work work = memory.read_work(query_parity);
      if (work.tiles < 0) break;
      rows = SoftmaxRows{};
      load_scales(work);
      if (work.tiles <= work.first_tile) {
        release(memory.query_empty());
        clear_output();
      } else {
        attend(work);
      }
      // Read once more: what only the end needs would take registers all the while.
      store(memory.read_work(query_parity), inverse_scale);
      query_parity ^= 1u;
    }
  }
};

}  // namespace fp8_attention
}  // namespace cubinet
