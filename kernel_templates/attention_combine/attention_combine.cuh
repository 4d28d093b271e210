// attention_combine: joins the parts of attention that were found of different keys.
//
//   out = sum over i of w_i * part_i / sum over i of w_i,   w_i = e^(lse_i - the largest lse)
//   lse = the largest lse + ln(sum over i of w_i)
//
// Shapes, units: attention_combine/params.h.
// Launch: grid (ceil(n * h / rows_of_block)), block (kNumThreads), static shared memory alone; see
//         attention_combine/tile.h. As a programmatic dependent only with
//         PROGRAMMATIC_DEPENDENT_LAUNCH, which waits before the first read.
// Parts:  one with an LSE of -infinity is not read, nor one whose weight is below 2^-126. Where all
//         are -infinity the output is 0 and its LSE -infinity. A NaN among them makes all of the
//         row NaN; in e4m3 that is 448.
// Result: fp32 sums in an order that follows from kHeadDimV and num_parts alone.
// Bytes:  4 * p * n * h * dv read once. Bound by latency where rows are few: two round trips to
//         memory, the LSEs beside the sequences' places, then all parts; one more with seqused_q or
//         over 256 sequences.
#pragma once

#include "attention_combine/params.h"
#include "attention_combine/tile.h"
#include "common/memory.cuh"
#include "common/memory_int.cuh"
#include "common/types.cuh"
#include "common/warp.cuh"

namespace cubinet {
namespace attention_combine {

constexpr unsigned int kWarpLanes = 32;

template <class Config>
struct Layout {
  static constexpr int kDim = Config::kHeadDimV;
  static constexpr int kWarps = Config::kNumThreads / 32;
  static constexpr int kLanes = lanes_of_part(kDim);
  static constexpr int kPacks = packs_of_lane(kDim);
  static constexpr int kInFlight = parts_of_lane(kDim);
  static constexpr int kSlotsOfWarp = 32 / kLanes;  // parts that a warp reads beside each other
  static constexpr int kPacksOfRow = kDim / 4;
  static constexpr int kOutputBytes = Config::USE_FP8_OUTPUT ? 1 : 2;  // of an element

  static_assert(Config::kNumThreads % (32 * kMaxWarpsOfRow) == 0,
                "kNumThreads must be a multiple of 256: up to 8 warps have a row between them");
  static_assert(kPacks * kLanes == kPacksOfRow, "kHeadDimV must be 96 or a multiple of 64");
};

struct alignas(16) Pack {
  float value[4];
};

template <class Config>
struct Memory {
  using L = Layout<Config>;
  float weights[L::kWarps][kMaxParts];  // every warp has all of its row's
  Pack sums[L::kWarps * L::kSlotsOfWarp][L::kPacksOfRow];
};

// ---- Rows ----

// The row that the calling warp has a share of.
struct Row {
  unsigned int token;
  unsigned int head;
  unsigned int warps;  // that share it
  unsigned int warp;   // this one, of these
  bool exists;
};

template <class Config>
__device__ __forceinline__ Row find_row(const Params& params) {
  using L = Layout<Config>;
  const unsigned int warp = threadIdx.x / kWarpLanes;
  const auto warps = static_cast<unsigned int>(warps_of_row(L::kDim, params.num_parts));
  const auto heads = static_cast<unsigned int>(params.num_heads);
  const unsigned int number = blockIdx.x * (L::kWarps / warps) + warp / warps;
  const unsigned int token = number / heads;
  return {token, number - token * heads, warps, warp % warps,
          token < static_cast<unsigned int>(params.num_tokens)};
}

// How many sequences end at the token or before it. All lanes ask for the same one.
//
// Cost: one round trip to memory for each factor of 256 of sequences.
__device__ __forceinline__ int count_ends(const Params& params, int token) {
  constexpr int kProbes = 8;
  constexpr int kProbesOfWarp = kProbes * 32;
  const int lane = static_cast<int>(threadIdx.x % kWarpLanes);
  int count = 0;
  int left = params.num_sequences;  // not known to end there or later
#pragma unroll 1
  while (left > 0) {
    const int step = (left + (kProbesOfWarp - 1)) / kProbesOfWarp;
    int ends[kProbes];
#pragma unroll
    for (int i = 0; i < kProbes; ++i) {
      const int place = (i * 32 + lane + 1) * step;  // counted from 1, of those left
      ends[i] = load_int(params.cu_seqlens_q + (count + place), place <= left);
    }
    unsigned int below = 0;
#pragma unroll
    for (int i = 0; i < kProbes; ++i) {
      const int place = (i * 32 + lane + 1) * step;
      below += place <= left && ends[i] <= token ? 1u : 0u;
    }
    const int skipped = static_cast<int>(__reduce_add_sync(0xFFFFFFFFu, below)) * step;
    count += skipped;
    left = left - skipped < step - 1 ? left - skipped : step - 1;
  }
  return count;
}

// Whether a token is one of a sequence's own.
__device__ __forceinline__ bool is_of_a_sequence(const Params& params, int token) {
  const int first = load_int(params.cu_seqlens_q, true);
  const int sequence = count_ends(params, token);
  if (sequence >= params.num_sequences || token < first) return false;
  if (params.seqused_q == nullptr) return true;
  const int begin = load_int(params.cu_seqlens_q + sequence, true);
  return token - begin < load_int(params.seqused_q + sequence, true);
}

// ---- Weights ----

constexpr int kLsesOfLane = kMaxParts / 32;

// LSEs of the row's parts, of every 32nd in each lane. Where there is no part: -infinity.
__device__ __forceinline__ void load_lses(const Params& params, const Row& row,
                                          float (&lses)[kLsesOfLane]) {
  const float* const first = params.part_lse + (row.head * params.lse_head_stride + row.token);
#pragma unroll
  for (int i = 0; i < kLsesOfLane; ++i) {
    const int part = i * 32 + static_cast<int>(threadIdx.x % kWarpLanes);
    lses[i] =
        load_float(first + part * params.lse_split_stride, row.exists && part < params.num_parts);
  }
#pragma unroll
  for (int i = 0; i < kLsesOfLane; ++i) {
    const int part = i * 32 + static_cast<int>(threadIdx.x % kWarpLanes);
    if (part >= params.num_parts) lses[i] = __uint_as_float(0xFF800000u);
  }
}

struct Total {
  float largest;  // of all LSEs
  float sum;      // of all weights
};

// Leaves all weights of the row to the warp.
__device__ __forceinline__ Total weigh(const float (&lses)[kLsesOfLane], float* weights) {
  const float largest = warp_max(maximum(maximum(lses[0], lses[1]), maximum(lses[2], lses[3])));
  const float reference = largest == __uint_as_float(0xFF800000u) ? 0.0f : largest;
  float own[kLsesOfLane];
#pragma unroll
  for (int i = 0; i < kLsesOfLane; ++i) {
    own[i] = exp2_approx((lses[i] - reference) * kLog2E);
    weights[i * 32 + threadIdx.x % kWarpLanes] = own[i];
  }
  const float sum = warp_sum(__fadd_rn(__fadd_rn(own[0], own[1]), __fadd_rn(own[2], own[3])));
  __syncwarp();
  return {largest, sum};
}

// ---- Sums ----

// Adds up the parts of this lane's slot and leaves the sum to the row's first warp.
template <class Config>
__device__ __forceinline__ void add_parts(const Params& params, const Row& row,
                                          Memory<Config>& memory) {
  using L = Layout<Config>;
  const unsigned int warp = threadIdx.x / kWarpLanes;
  const unsigned int lane = threadIdx.x % kWarpLanes;
  const unsigned int slot = lane / L::kLanes;
  const int slots = static_cast<int>(row.warps) * L::kSlotsOfWarp;
  const int own_slot = static_cast<int>(row.warp * L::kSlotsOfWarp + slot);
  const float* const first =
      params.parts + (row.token * params.part_token_stride + row.head * params.part_head_stride) +
      lane % L::kLanes * 4u;
  Pack sums[L::kPacks] = {};
#pragma unroll 1
  for (int begin = own_slot; begin - own_slot < params.num_parts; begin += slots * L::kInFlight) {
    float weights[L::kInFlight];
    Words4 packs[L::kInFlight][L::kPacks];
#pragma unroll
    for (int i = 0; i < L::kInFlight; ++i) {
      const int part = begin + i * slots;
      weights[i] = row.exists && part < params.num_parts ? memory.weights[warp][part] : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < L::kInFlight; ++i) {
      const float* const at = first + (begin + i * slots) * params.part_split_stride;
#pragma unroll
      for (int j = 0; j < L::kPacks; ++j) {
        packs[i][j] = load_16_bytes_no_allocate(at + j * (L::kLanes * 4), weights[i] != 0.0f);
      }
    }
    // Else the assembler has each load waited for before the next but one, to save registers.
    __syncwarp();
#pragma unroll
    for (int i = 0; i < L::kInFlight; ++i) {
#pragma unroll
      for (int j = 0; j < L::kPacks; ++j) {
#pragma unroll
        for (int k = 0; k < 4; ++k) {
          float& sum = sums[j].value[k];
          sum = __fmaf_rn(weights[i], __uint_as_float(packs[i][j].word[k]), sum);
        }
      }
    }
  }
#pragma unroll
  for (int j = 0; j < L::kPacks; ++j) {
    memory.sums[warp * L::kSlotsOfWarp + slot][j * L::kLanes + lane % L::kLanes] = sums[j];
  }
}

// ---- Store ----

template <class Config>
__device__ __forceinline__ void store_pack(char* address, float (&values)[4]) {
  if constexpr (Config::USE_FP8_OUTPUT) {
    // min() returns the number when the other operand is a NaN; the conversion saturates the rest.
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] = minimum(values[i], 448.0f);
    store_4_bytes_streaming(address, pack_e4m3_word(values));
  } else {
    store_8_bytes_streaming(address, {{pack_word<bf16>(values), pack_word<bf16>(values + 2)}});
  }
}

// Writes the row whose slots' sums begin at `sums`.
template <class Config>
__device__ __forceinline__ void store_row(const Params& params, const Row& row, float factor,
                                          const Pack (*sums)[Layout<Config>::kPacksOfRow]) {
  using L = Layout<Config>;
  const int slots = static_cast<int>(row.warps) * L::kSlotsOfWarp;
  char* const address =
      static_cast<char*>(params.out) +
      (row.token * params.out_token_stride + row.head * params.out_head_stride) * L::kOutputBytes;
#pragma unroll
  for (int first = 0; first < L::kPacksOfRow; first += 32) {
    const int pack = first + static_cast<int>(threadIdx.x % kWarpLanes);
    if (pack >= L::kPacksOfRow) break;
    float values[4] = {};
#pragma unroll 1
    for (int slot = 0; slot < slots; slot += 2) {
      const Pack even = sums[slot][pack];
      const Pack odd = sums[slot + 1][pack];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        values[i] = __fadd_rn(values[i], __fadd_rn(even.value[i], odd.value[i]));
      }
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) values[i] *= factor;
    store_pack<Config>(address + pack * 4 * L::kOutputBytes, values);
  }
}

// ---- The kernel ----

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  using L = Layout<Config>;
  __shared__ Memory<Config> memory;
  const unsigned int warp = threadIdx.x / kWarpLanes;
  Row row = find_row<Config>(params);
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) {
    allow_next_grids();
    wait_for_previous_grids();
  }
  float lses[kLsesOfLane];
  load_lses(params, row, lses);
  float scale = 1.0f;
  if constexpr (Config::USE_FP8_OUTPUT) scale = load_float(params.output_scale, true);
  if (row.exists) row.exists = is_of_a_sequence(params, static_cast<int>(row.token));
  const Total total = weigh(lses, memory.weights[warp]);
  add_parts<Config>(params, row, memory);
  if (row.warps == 1) {
    __syncwarp();
  } else {
    __syncthreads();
  }
  if (!row.exists || row.warp != 0) return;
  float factor = total.sum == 0.0f ? 0.0f : reciprocal_approx(total.sum);
  if constexpr (Config::USE_FP8_OUTPUT) factor *= reciprocal_ieee(scale);
  store_row<Config>(params, row, factor, &memory.sums[warp * L::kSlotsOfWarp]);
  if (params.lse != nullptr && threadIdx.x % kWarpLanes == 0) {
    store_float(params.lse + (static_cast<long long>(row.head) * params.num_tokens + row.token),
                total.largest + kLn2 * log2_approx(total.sum));
  }
}

}  // namespace attention_combine
}  // namespace cubinet
