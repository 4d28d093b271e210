// -inf in the columns of logits that stand for no key of a row's range.
#pragma once

#include "mqa_logits/key_range.cuh"
#include "mqa_shared/clean.cuh"

namespace cubinet {
namespace mqa_logits {

// All of them, by three warps of each block: pieces of rows in turns.
template <class Config>
__device__ __forceinline__ void clean(const Params& params, unsigned int warp) {
  using Logits = typename Config::LOGITS_TYPE;
  const unsigned int width = params.logits_width;
  const unsigned int pieces = (width + mqa::kCleanColumns - 1) / mqa::kCleanColumns;
  const unsigned long long all = static_cast<unsigned long long>(params.num_tokens) * pieces;
#pragma unroll 1
  for (unsigned long long i = blockIdx.x * 3ull + warp; i < all; i += gridDim.x * 3ull) {
    const unsigned int row = static_cast<unsigned int>(i / pieces);
    const unsigned int first = static_cast<unsigned int>(i % pieces) * mqa::kCleanColumns;
    const unsigned int end = min(first + mqa::kCleanColumns, width);
    const KeyRange range = load_range<Config::COMPRESSED_LOGITS>(params, row);
    const unsigned int origin = Config::COMPRESSED_LOGITS ? range.begin : 0u;
    Logits* const logits = static_cast<Logits*>(params.logits) + row * params.logits_stride;
    mqa::clean_columns(logits, first, min(range.begin - origin, end));
    mqa::clean_columns(logits, max(first, range.end - origin), end);
  }
}

}  // namespace mqa_logits
}  // namespace cubinet
