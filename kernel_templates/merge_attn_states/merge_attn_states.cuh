// merge_attn_states: merges the attention outputs of two disjoint key ranges by their LSEs.
//
//   M = max(p, s); wp = e^(p-M) / (e^(p-M) + e^(s-M)); ws likewise
//   output = prefix * wp + suffix * ws        output_lse = M + ln(e^(p-M) + e^(s-M))
//   with USE_FP8_OUTPUT: output = e4m3(output * (1 / output_scale))
//   with FP8_GROUP_SIZE too: output = e4m3(output * (1 / scale)), where each group of neighbouring
//   elements has its own scale = max(its largest magnitude, 1e-10) / 448, which is written; with
//   USE_UE8M0_SCALES rounded up to a power of two
//
// Shapes, units, requirements: merge_attn_states/params.h. n tokens, h heads, d = HEAD_SIZE.
// Launch: grid (blocks_of(tile, n, h)), block (THREADS), no shared memory. As a programmatic
//         dependent only with PROGRAMMATIC_DEPENDENT_LAUNCH, which waits before the first read.
//
// Rows, by the prefix's LSE p and the suffix's s (+inf counts as -inf):
//   * p = -inf, or e^(p-M) < 2^-126: the suffix, bit for bit; the prefix is ignored even if it
//     holds NaN or infinities. The same with the sides exchanged.
//   * both -inf: the prefix, bit for bit; output_lse = -inf.
//   * token >= num_context_tokens: the suffix, bit for bit; output_lse = s as given. The prefix and
//     its LSE are not read.
//   * p or s is NaN (token < num_context_tokens): the whole row and its output_lse are NaN.
// With USE_FP8_OUTPUT all of these are scaled and quantised: to nearest even, beyond +-448 and
// infinities to +-448, and a NaN to +448 (0x7E), so no NaN code is ever written. The reciprocal is
// IEEE: a scale of +-0 gives +-448 (+448 where the value is 0), a NaN scale +448 everywhere.
// With FP8_GROUP_SIZE likewise, with the scale of common/group_scale.cuh: a NaN counts for nothing
// in it and infinities as the largest finite fp32; a group of zeros has 1e-10 / 448 and codes 0.
// Without USE_UE8M0_SCALES the largest magnitude of a group, if 1e-10 or more, gets +-448.
//
// Numerics: fp32 throughout, one rounding at the end. Against float64: fp32 output within
//   1e-6 + 4 units in the last place, 16-bit within 1 unit, FP8 within 1 code, LSE within
//   2e-6 * max(1, |LSE|).
// Bytes: n * h * (d * (2 * input + output) + 8, or + 12 with output_lse, + 4 per group), each moved
//   once; three operations per element: bound by memory.
// Source: Gu et al. 2025 (FlashInfer), section 2.2, "attention states and their merge".
#pragma once

#include "common/group_scale.cuh"
#include "common/math.cuh"
#include "common/memory.cuh"
#include "common/types.cuh"
#include "merge_attn_states/params.h"

namespace cubinet {
namespace merge_attn_states {

// What follows from Config alone. A pack is 16 bytes of input: what one thread merges.
template <class Config>
struct Layout {
  using Input = typename Config::INPUT_TYPE;
  static constexpr int kInputBytes = static_cast<int>(sizeof(Input));
  static constexpr int kOutputBytes = Config::USE_FP8_OUTPUT ? 1 : kInputBytes;
  static constexpr int kElementsPerPack = 16 / kInputBytes;
  static constexpr int kElementsPerWord = 4 / kInputBytes;
  static constexpr int kPacksPerRow = Config::HEAD_SIZE / kElementsPerPack;
  static constexpr int kRowsPerBlock = Config::THREADS / kPacksPerRow;

  static constexpr int kGroupSize = Config::FP8_GROUP_SIZE;
  static constexpr bool kHasGroups = kGroupSize != 0;
  static constexpr int kLanesPerGroup = kHasGroups ? kGroupSize / kElementsPerPack : 1;
  static constexpr int kGroupsPerRow = kPacksPerRow / kLanesPerGroup;

  static_assert(is_same<Input, float> || is_same<Input, f16> || is_same<Input, bf16>,
                "INPUT_TYPE must be float, f16 or bf16");
  static_assert(Config::HEAD_SIZE > 0 && Config::HEAD_SIZE % kElementsPerPack == 0,
                "HEAD_SIZE must be a multiple of 16 bytes of INPUT_TYPE (4 fp32, 8 f16 or bf16)");
  static_assert(Config::THREADS % 32 == 0 && Config::THREADS >= 32 && Config::THREADS <= 1024,
                "THREADS must be whole warps, at most 1024");
  static_assert(kRowsPerBlock >= 1,
                "THREADS must cover one row of HEAD_SIZE: one thread takes 16 bytes of it");
  static_assert(kGroupSize == 0 || kGroupSize == 64 || kGroupSize == 128,
                "FP8_GROUP_SIZE must be 0, 64 or 128");
  static_assert(!kHasGroups || Config::USE_FP8_OUTPUT, "FP8_GROUP_SIZE needs USE_FP8_OUTPUT");
  static_assert(!kHasGroups || Config::HEAD_SIZE % (kHasGroups ? kGroupSize : 1) == 0,
                "HEAD_SIZE must be a multiple of FP8_GROUP_SIZE: a group lies within one head");
  static_assert(kHasGroups || !Config::USE_UE8M0_SCALES, "USE_UE8M0_SCALES needs FP8_GROUP_SIZE");
};

// ---- Where ----

// One pack of one row, and the LSE of that row.
struct Place {
  unsigned int token;
  unsigned int head;
  unsigned int row;   // token * h + head
  unsigned int lse;   // head * n + token
  unsigned int pack;  // within the row
  bool exists;        // else the thread has nothing to do
  bool has_context;   // the row has a prefix
};

template <class Config>
__device__ __forceinline__ Place locate(const Params& params) {
  using L = Layout<Config>;
  const unsigned int row_in_block = threadIdx.x / L::kPacksPerRow;
  const unsigned int row = blockIdx.x * L::kRowsPerBlock + row_in_block;
  const Divisor& heads = params.num_heads;
  const unsigned int token = __umulhi(2u * row, heads.multiplier) >> heads.shift;
  const unsigned int head = row - token * heads.divisor;
  Place place;
  place.token = token;
  place.head = head;
  place.row = row;
  place.lse = head * params.num_tokens + token;
  place.pack = threadIdx.x % L::kPacksPerRow;
  // A block need not be a whole number of rows: the threads left over do nothing.
  place.exists = row_in_block < L::kRowsPerBlock && row < params.num_tokens * heads.divisor;
  place.has_context = token < params.num_context_tokens;
  return place;
}

// In elements: a row index fits 32 bits, its offset does not.
__device__ __forceinline__ unsigned long long row_offset(unsigned int row,
                                                         unsigned int head_stride) {
  return static_cast<unsigned long long>(row) * head_stride;
}

// ---- Load ----

// Everything one pack of output depends on.
struct Loaded {
  Words4 prefix;
  Words4 suffix;
  float prefix_lse;
  float suffix_lse;
  float scale;
};

template <class Config>
__device__ __forceinline__ Words4 load_pack(const void* tensor, unsigned long long offset_bytes,
                                            bool active) {
  const void* const address = static_cast<const char*>(tensor) + offset_bytes;
  if constexpr (Config::KEEP_IN_L1) return load_16_bytes(address, active);
  return load_16_bytes_no_allocate(address, active);
}

// All loads are issued before the first result is waited for. Where a place does not exist nothing
// is read.
template <class Config>
__device__ __forceinline__ Loaded load(const Params& params, const Place& place) {
  using L = Layout<Config>;
  // Without groups only places that exist come here.
  const bool exists = !L::kHasGroups || place.exists;
  const bool has_prefix = exists && place.has_context;
  const unsigned long long offset_bytes =
      row_offset(place.row, params.input_head_stride) * L::kInputBytes + place.pack * 16u;
  Loaded loaded;
  loaded.scale = 1.0f;
  if constexpr (Config::USE_FP8_OUTPUT && !L::kHasGroups) {
    loaded.scale = load_float(params.output_scale, true);
  }
  loaded.prefix_lse = load_float(params.prefix_lse + place.lse, has_prefix);
  loaded.suffix_lse = load_float(params.suffix_lse + place.lse, exists);
  loaded.prefix = load_pack<Config>(params.prefix_output, offset_bytes, has_prefix);
  loaded.suffix = load_pack<Config>(params.suffix_output, offset_bytes, exists);
  return loaded;
}

// ---- Weights ----

struct Weights {
  float prefix;
  float suffix;
  float lse;  // of the merged row
};

__device__ __forceinline__ float infinity() { return __uint_as_float(0x7F800000u); }

// An empty side reports -inf or +inf, depending on the attention kernel: both become -inf.
__device__ __forceinline__ float empty_as_minus_infinity(float lse) {
  return lse == infinity() ? -infinity() : lse;
}

// The larger side's exponential is exactly 1, so one exponential, one reciprocal and one logarithm
// are enough. A weight that underflows is exactly 0, and then the other is exactly 1.
__device__ __forceinline__ Weights weigh(float prefix_lse, float suffix_lse, bool has_context) {
  const float prefix = empty_as_minus_infinity(prefix_lse);
  const float suffix = empty_as_minus_infinity(suffix_lse);
  const float difference = prefix - suffix;
  const float smaller = exp2_approx(-fabsf(difference) * kLog2E);
  const float sum = 1.0f + smaller;
  const float larger_weight = reciprocal_approx(sum);
  const float smaller_weight = smaller * larger_weight;
  // maximum() drops a NaN; the sum, which has it from the difference, brings it back.
  const float lse = maximum(prefix, suffix) + kLn2 * log2_approx(sum);
  const bool prefix_is_larger = difference >= 0.0f;
  Weights weights = {prefix_is_larger ? larger_weight : smaller_weight,
                     prefix_is_larger ? smaller_weight : larger_weight, lse};
  if (prefix == -infinity() && suffix == -infinity()) weights = {1.0f, 0.0f, -infinity()};
  if (!has_context) weights = {0.0f, 1.0f, suffix_lse};
  return weights;
}

// ---- Merge ----

// A pack of a side whose weight is 0, replaced by -0: the one value v for which x + v * 0 is x for
// every x, -0 and infinities too, whatever the side held.
template <class Input>
__device__ __forceinline__ Words4 ignore_unless(bool alive, const Words4& pack) {
  constexpr unsigned int kMinusZeros = is_same<Input, float> ? 0x80000000u : 0x80008000u;
  Words4 result;
#pragma unroll
  for (int i = 0; i < 4; ++i) result.word[i] = alive ? pack.word[i] : kMinusZeros;
  return result;
}

// The merged elements of one pack in fp32.
template <class Config>
__device__ __forceinline__ void merge_pack(const Loaded& loaded, const Weights& weights,
                                           float* merged) {
  using L = Layout<Config>;
  const Words4 prefix = ignore_unless<typename L::Input>(weights.prefix != 0.0f, loaded.prefix);
  const Words4 suffix = ignore_unless<typename L::Input>(weights.suffix != 0.0f, loaded.suffix);
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    float a[L::kElementsPerWord];
    float b[L::kElementsPerWord];
    unpack_word<typename L::Input>(prefix.word[i], a);
    unpack_word<typename L::Input>(suffix.word[i], b);
#pragma unroll
    for (int j = 0; j < L::kElementsPerWord; ++j) {
      merged[i * L::kElementsPerWord + j] = __fmaf_rn(b[j], weights.suffix, a[j] * weights.prefix);
    }
  }
}

// ---- Quantise ----

template <class Config>
__device__ __forceinline__ void multiply_pack(float* values, float factor) {
#pragma unroll
  for (int i = 0; i < Layout<Config>::kElementsPerPack; ++i) values[i] *= factor;
}

// Stores the scale of this pack's group, once per group.
template <class Config>
__device__ __forceinline__ void store_group_scale(const Params& params, const Place& place,
                                                  float scale) {
  using L = Layout<Config>;
  if (place.pack % L::kLanesPerGroup != 0) return;
  // A token may have more groups than 32 bits count.
  const unsigned long long group = static_cast<unsigned long long>(place.head) * L::kGroupsPerRow +
                                   place.pack / L::kLanesPerGroup;
  store_float(params.output_group_scales + (place.token * params.output_scale_token_stride +
                                            group * params.output_scale_group_stride),
              scale);
}

// ---- Store ----

// Requires: `values` holds one pack's elements, scaled. They are saturated and stored as e4m3.
template <class Config>
__device__ __forceinline__ void store_e4m3(char* address, float* values) {
  using L = Layout<Config>;
  // min() returns the number when the other operand is a NaN; the conversion saturates the rest.
#pragma unroll
  for (int i = 0; i < L::kElementsPerPack; ++i) values[i] = minimum(values[i], 448.0f);
  if constexpr (L::kElementsPerPack == 8) {
    store_8_bytes_streaming(address, {{pack_e4m3_word(values), pack_e4m3_word(values + 4)}});
  } else {
    store_4_bytes_streaming(address, pack_e4m3_word(values));
  }
}

// Stores in the input type. A side with the whole weight is copied, so that NaN payloads survive.
template <class Config>
__device__ __forceinline__ void store_same_type(char* address, const float* values,
                                                const Loaded& loaded, const Weights& weights) {
  using L = Layout<Config>;
  Words4 words;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    unsigned int word = pack_word<typename L::Input>(values + i * L::kElementsPerWord);
    if (weights.suffix == 0.0f) word = loaded.prefix.word[i];
    if (weights.prefix == 0.0f) word = loaded.suffix.word[i];
    words.word[i] = word;
  }
  store_16_bytes_streaming(address, words);
}

template <class Config>
__device__ __forceinline__ void store(const Params& params, const Place& place,
                                      const Loaded& loaded, const Weights& weights, float* merged) {
  using L = Layout<Config>;
  const unsigned int pack_bytes = L::kElementsPerPack * L::kOutputBytes;
  char* const address = static_cast<char*>(params.output) +
                        (row_offset(place.row, params.output_head_stride) * L::kOutputBytes +
                         place.pack * pack_bytes);
  if constexpr (Config::USE_FP8_OUTPUT) {
    store_e4m3<Config>(address, merged);
  } else {
    store_same_type<Config>(address, merged, loaded, weights);
  }
  if constexpr (Config::HAS_OUTPUT_LSE) {
    if (place.pack == 0) store_float(params.output_lse + place.lse, weights.lse);
  }
}

// ---- The kernel ----

template <class Config>
__device__ __forceinline__ void run(const Params& params) {
  if constexpr (Config::PROGRAMMATIC_DEPENDENT_LAUNCH) {
    allow_next_grids();
    wait_for_previous_grids();
  }
  using L = Layout<Config>;
  const Place place = locate<Config>(params);
  if constexpr (!L::kHasGroups) {
    if (!place.exists) return;
  }
  const Loaded loaded = load<Config>(params, place);
  const Weights weights = weigh(loaded.prefix_lse, loaded.suffix_lse, place.has_context);
  float merged[L::kElementsPerPack];
  merge_pack<Config>(loaded, weights, merged);
  if constexpr (L::kHasGroups) {
    // Lanes find the maximum of a group together: until then none may leave.
    const float absmax = absmax_of_group<L::kLanesPerGroup, L::kElementsPerPack>(merged);
    if (!place.exists) return;
    const GroupScale scale = scale_of_group<Config::USE_UE8M0_SCALES>(absmax);
    store_group_scale<Config>(params, place, scale.scale);
    multiply_pack<Config>(merged, scale.inverse);
  } else if constexpr (Config::USE_FP8_OUTPUT) {
    multiply_pack<Config>(merged, reciprocal_ieee(loaded.scale));
  }
  store<Config>(params, place, loaded, weights, merged);
}

}  // namespace merge_attn_states
}  // namespace cubinet
