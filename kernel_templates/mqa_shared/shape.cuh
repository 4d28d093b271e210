// What the math warpgroups of an MQA logits kernel are compiled for.
#pragma once

#include "common/memory.cuh"
#include "common/memory_int.cuh"
#include "common/types.cuh"
#include "mqa_shared/tile.h"

namespace cubinet {
namespace mqa {

// Output is a matrix of logits.
//
// COMPRESSED: position p of a row that begins at b lies in column p - b, else in column p.
template <class LogitsType, bool COMPRESSED>
struct OutputOf {
  using Logits = LogitsType;
  Logits* logits;
  long long stride;  // Units: elements

  __device__ __forceinline__ Logits* row(int number) const { return logits + number * stride; }

  // The score of key `position`, in a row that begins at `begin`.
  __device__ __forceinline__ static void store(Logits* row, int position, int begin, float score) {
    Logits* const to = row + (COMPRESSED ? position - begin : position);
    if constexpr (is_same<Logits, float>) {
      store_float(to, score);
    } else {
      const float pair[2] = {score, score};
      store_2_bytes(to, static_cast<unsigned short>(pack_word<Logits>(pair)));
    }
  }
};

// Registers per thread once the warpgroups have parted (setmaxnreg), by math warpgroups. A block
// shares out only what it entered with: 65,536 over its threads, rounded down to a multiple of 8
// each. With more the launch would wait for ever.
JIT_HOST_DEVICE constexpr int math_registers(int math_warpgroups) {
  return math_warpgroups >= 4 ? 112 : math_warpgroups == 3 ? 160 : 232;
}
JIT_HOST_DEVICE constexpr int load_registers(int math_warpgroups) {
  return math_warpgroups == 2 ? 40 : 32;
}

JIT_HOST_DEVICE constexpr int smaller(int a, int b) { return a < b ? a : b; }

// Tokens of a work item are scored in groups, one product each.
template <int TOKENS, int GROUP_TOKENS, bool PAD_LAST_GROUP>
struct Groups {
  static constexpr int kTokens = TOKENS;
  static constexpr int kGroupTokens = smaller(GROUP_TOKENS, TOKENS);
  static constexpr int kGroups = (kTokens + kGroupTokens - 1) / kGroupTokens;
  static constexpr int kLastGroupTokens =
      PAD_LAST_GROUP ? kGroupTokens : kTokens - (kGroups - 1) * kGroupTokens;
  static constexpr int kComputedTokens = (kGroups - 1) * kGroupTokens + kLastGroupTokens;
};

}  // namespace mqa
}  // namespace cubinet
