// What fp8_attention is compiled for.
#pragma once

#include "fp8_attention/params.h"

namespace cubinet {
namespace fp8_attention {

// The key tile of kernels whose bits agree, prefill's and decode's: kInvariant.
JIT_HOST_DEVICE constexpr int invariant_block_n(int head_dim, int head_dim_v) {
  if (head_dim == 128 || head_dim == 256) return 128;
  return head_dim == 192 && head_dim_v == 128 ? 128 : 160;
}

template <class Config>
struct Shape {
  static constexpr int kMathWarpgroups = Config::kNumThreads / 128 - 1;
  static constexpr Tile kTile{64 * kMathWarpgroups, Config::kBlockN,    Config::kHeadDim,
                              Config::kHeadDimV,    Config::kNumStages, Config::kValueStages};
  static constexpr int kSlab = slab_bytes(Config::kHeadDim);        // of queries and keys
  static constexpr int kValueSlab = slab_bytes(Config::kHeadDimV);  // of values as they come
  static constexpr int kKeySlab = slab_bytes(Config::kBlockN);      // of transposed values
  static constexpr int kTokens = kTile.block_m / Config::kPackGqa;  // of a block
  static constexpr int kCopiedRows = copied_rows(Config::kPageRows, Config::kBlockN);
  static constexpr int kChunks = Config::kHeadDimV / Config::kChunk;
  static constexpr int kTransposingWarps = 3;

  // Three warpgroups come with 168 registers a thread, four, and two where two blocks are to fit
  // beside each other, with 128: setmaxnreg deals out no more than those.
  static constexpr bool kDealsRegisters = kMathWarpgroups > 1 || Config::kMinBlocks > 1;
  static constexpr int kLoadRegisters = kMathWarpgroups >= 3 ? 32 : 40;
  static constexpr int kMathRegisters = kMathWarpgroups == 1   ? 216
                                        : kMathWarpgroups == 2 ? 232
                                        : kMathWarpgroups == 3 ? 160
                                                               : 112;

  static_assert(Config::kHeadDim == Config::kHeadDimV ||
                    (Config::kHeadDim == 192 && Config::kHeadDimV == 128),
                "kHeadDimV must be kHeadDim, or 128 where that is 192");
  static_assert(
      kMathWarpgroups >= 1 && kMathWarpgroups <= 4,
      "kNumThreads must be 256, 384, 512 or 640: one warpgroup loads, the others do maths");
  static_assert(Config::kHeadDimV % Config::kChunk == 0 && Config::kChunk % 16 == 0,
                "kChunk must divide kHeadDimV and be a multiple of 16");
  static_assert(Config::kAccumInterval == 1 || kChunks == 1,
                "kAccumInterval other than 1 needs kChunk = kHeadDimV: the sums stay in registers");
  static_assert(Config::kAccumInterval <= 1 || Config::kHeadDimV <= 128,
                "kAccumInterval above 1 needs two outputs in registers: kHeadDimV up to 128");
  static_assert(!Config::kInvariant ||
                    Config::kBlockN == invariant_block_n(Config::kHeadDim, Config::kHeadDimV),
                "kInvariant needs the kBlockN that all kernels of this kHeadDim have");
  static_assert(!(Config::SPLIT && Config::USE_FP8_OUTPUT),
                "SPLIT writes fp32 parts: USE_FP8_OUTPUT is of the kernel that joins them");
  static_assert(
      Config::kMinBlocks == 1 || (Config::kMinBlocks == 2 && kMathWarpgroups == 1),
      "kMinBlocks must be 1, or 2 with kNumThreads 256: registers are dealt out for those");
  static_assert(Config::kMinBlocks == 1 || smem_bytes_of(kTile) <= 115712,
                "kMinBlocks 2 needs tiles of which two fit into a multiprocessor's shared memory");
  static_assert(smem_bytes_of(kTile) <= 232448,
                "kNumThreads, kBlockN and stages need more shared memory than a block has");
};

}  // namespace fp8_attention
}  // namespace cubinet
