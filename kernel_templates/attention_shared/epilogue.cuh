// What attention kernels write: rows of a warpgroup's accumulators, with their LSEs and scales.
//
// The lanes of a quad hold a row between them, two neighbouring elements of every eight in each. By
// exchanges within the quad every lane comes to 16 contiguous bytes, so that a quad writes 64; fp32
// is written as it lies, 32 bytes by a quad. Shared memory is not needed.
//
// Numerics: an element is accumulator * factor, rounded once to the output's type. With groups it
//           is multiplied, rounded to fp32, by the reciprocal of its group's scale after that; see
//           common/group_scale.cuh. e4m3 saturates; a NaN becomes 448.
#pragma once

#include "common/group_scale.cuh"
#include "common/memory.cuh"
#include "common/types.cuh"

namespace cubinet {
namespace attention {

// Units: strides are in elements of what they are of.
// Requires: out and both strides aligned to 16 bytes.
struct OutputMemory {
  void* out;            // token t of head g: out + t * out_token_stride + g * out_head_stride
  float* lse;           // lse[g * lse_head_stride + t]; null: not asked for
  float* group_scales;  // of group i of (t, g): t * scale_token_stride +
                        // (g * (kHeadDimV / FP8_GROUP_SIZE) + i) * scale_group_stride
  long long out_token_stride;
  long long out_head_stride;
  long long lse_head_stride;
  long long scale_token_stride;
  long long scale_group_stride;
};

// Which rows a warpgroup has: the first `count` of its 64 are real; none if it is 0 or below.
struct Rows {
  int first;  // query token
  int count;
  int head;
};

// Of the calling thread's two rows, lane / 4 and 8 after it of its warp's 16.
struct RowResults {
  float factor[2];  // 1 / row sum; for e4m3 by tensor times 1 / output_scale
  float lse[2];
};

namespace detail {

// Word i of lane j of each quad becomes word j of lane i.
__device__ __forceinline__ void transpose_quad(unsigned int (&words)[4]) {
#pragma unroll
  for (unsigned int distance = 1; distance < 4; distance *= 2) {
    const bool is_upper = (threadIdx.x & distance) != 0u;
#pragma unroll
    for (unsigned int i = 0; i < 4; ++i) {
      if ((i & distance) != 0u) continue;
      unsigned int& low = words[i];
      unsigned int& high = words[i + distance];
      const unsigned int other =
          __shfl_xor_sync(0xFFFFFFFFu, is_upper ? low : high, static_cast<int>(distance));
      low = is_upper ? other : low;
      high = is_upper ? high : other;
    }
  }
}

}  // namespace detail

// Epilogue writes rows as a kernel's constants say.
template <class Config>
struct Epilogue {
  using Type = typename Config::OUTPUT_TYPE;
  static constexpr bool kIsE4M3 = Config::USE_FP8_OUTPUT;
  static constexpr int kBytes = kIsE4M3 ? 1 : static_cast<int>(sizeof(Type));  // of an element
  static constexpr int kGroupSize = Config::FP8_GROUP_SIZE;
  static constexpr bool kHasGroups = kGroupSize != 0;
  static constexpr int kColumns = Config::kHeadDimV;
  static constexpr int kOwn = kColumns / 4;      // elements of a row in a lane
  static constexpr int kOwnOfWord = 4 / kBytes;  // of them in a word

  static_assert(kColumns % 64 == 0, "kHeadDimV must be a multiple of 64");
  static_assert(!kHasGroups || kIsE4M3, "FP8_GROUP_SIZE needs USE_FP8_OUTPUT");
  static_assert(kGroupSize == 0 || kGroupSize == 64 || kGroupSize == 128,
                "FP8_GROUP_SIZE must be 0, 64 or 128");
  static_assert(!kHasGroups || kColumns % (kHasGroups ? kGroupSize : 1) == 0,
                "kHeadDimV must be a multiple of FP8_GROUP_SIZE: a group lies within one head");
  static_assert(kHasGroups || !Config::USE_UE8M0_SCALES, "USE_UE8M0_SCALES needs FP8_GROUP_SIZE");

  // A row in the calling thread's hands.
  struct Row {
    int token;
    int head;
    bool is_real;  // else nothing is written
  };

  __device__ __forceinline__ static unsigned int quad_lane() { return threadIdx.x % 4u; }

  // Divides each group of the row by its scale, which it writes.
  __device__ __forceinline__ static void quantize_groups(float (&values)[kOwn], const Row& row,
                                                         const OutputMemory& memory) {
    constexpr int kGroups = kColumns / kGroupSize;
    constexpr int kOwnOfGroup = kGroupSize / 4;
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float* const own = values + group * kOwnOfGroup;
      const GroupScale scale =
          scale_of_group<Config::USE_UE8M0_SCALES>(absmax_of_group<4, kOwnOfGroup>(own));
#pragma unroll
      for (int i = 0; i < kOwnOfGroup; ++i) own[i] *= scale.inverse;
      if (row.is_real && quad_lane() == 0u) {
        const long long column = static_cast<long long>(row.head) * kGroups + group;
        store_float(memory.group_scales + (row.token * memory.scale_token_stride +
                                           column * memory.scale_group_stride),
                    scale.scale);
      }
    }
  }

  // This lane's part of 16 contiguous bytes.
  __device__ __forceinline__ static unsigned int pack(float* own) {
    if constexpr (kIsE4M3) {
      // min() returns the number when the other operand is a NaN; the conversion saturates the
      // rest.
#pragma unroll
      for (int i = 0; i < 4; ++i) own[i] = minimum(own[i], 448.0f);
      return pack_e4m3_word(own);
    } else {
      return pack_word<Type>(own);
    }
  }

  // Four pieces of 16 bytes, one by each lane of a quad.
  __device__ __forceinline__ static void store_pieces(float* own, char* address, bool is_real) {
    unsigned int words[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) words[i] = pack(own + i * kOwnOfWord);
    detail::transpose_quad(words);
    Words4 piece = {{words[0], words[1], words[2], words[3]}};
    if constexpr (kIsE4M3) {
      // A word of a lane is the two elements of one eight, then those of the next.
      piece = {{(words[0] & 0xFFFFu) | words[1] << 16, (words[2] & 0xFFFFu) | words[3] << 16,
                words[0] >> 16 | (words[1] & 0xFFFF0000u),
                words[2] >> 16 | (words[3] & 0xFFFF0000u)}};
    }
    if (is_real) store_16_bytes_streaming(address + quad_lane() * 16u, piece);
  }

  __device__ __forceinline__ static void store_row(float (&values)[kOwn], const Row& row,
                                                   const OutputMemory& memory) {
    char* const address =
        static_cast<char*>(memory.out) +
        (row.token * memory.out_token_stride + row.head * memory.out_head_stride) * kBytes;
    if constexpr (kBytes == 4) {
#pragma unroll
      for (int i = 0; i < kOwn; i += 2) {
        const Words2 pair = {{pack(values + i), pack(values + i + 1)}};
        if (row.is_real) store_8_bytes_streaming(address + i * 16 + quad_lane() * 8u, pair);
      }
    } else {
#pragma unroll
      for (int i = 0; i < kOwn; i += 4 * kOwnOfWord) {
        store_pieces(values + i, address + i * 4 * kBytes, row.is_real);
      }
    }
  }
};

// Writes the rows of a warpgroup. accumulators: those of a wgmma of N = kHeadDimV; they are left as
// they were.
//
// Requires: all threads of a warpgroup call it, whose first one is a multiple of 128.
template <class Config>
__device__ __forceinline__ void store_rows(const float (&accumulators)[Config::kHeadDimV / 2],
                                           const RowResults& results, const OutputMemory& memory,
                                           const Rows& rows) {
  using E = Epilogue<Config>;
  const int first = static_cast<int>(threadIdx.x / 32u % 4u) * 16;
  if (first >= rows.count) return;  // all of the warp
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    const int own_row = first + static_cast<int>(threadIdx.x % 32u / 4u) + 8 * half;
    const typename E::Row row = {rows.first + own_row, rows.head, own_row < rows.count};
    float values[E::kOwn];
#pragma unroll
    for (int i = 0; i < E::kOwn; ++i) {
      values[i] = accumulators[i / 2 * 4 + half * 2 + i % 2] * results.factor[half];
    }
    if constexpr (E::kHasGroups) E::quantize_groups(values, row, memory);
    E::store_row(values, row, memory);
    if (row.is_real && memory.lse != nullptr && E::quad_lane() == 0u) {
      store_float(memory.lse + (row.head * memory.lse_head_stride + row.token), results.lse[half]);
    }
  }
}

}  // namespace attention
}  // namespace cubinet
