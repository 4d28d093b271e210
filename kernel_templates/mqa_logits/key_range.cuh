// Which keys are scored for a query token, and for a group of them.
#pragma once

#include "common/memory_int.cuh"
#include "mqa_logits/params.h"

namespace cubinet {
namespace mqa_logits {

// Keys [begin, end); none if they are equal.
struct KeyRange {
  unsigned int begin;
  unsigned int end;
};

// The range [start, end) as far as there are keys, and columns of logits for them.
template <bool COMPRESSED>
__device__ __forceinline__ KeyRange cut_range(const Params& params, int start, int end) {
  const unsigned int begin = min(static_cast<unsigned int>(max(start, 0)), params.num_keys);
  const unsigned int room = COMPRESSED ? begin + params.logits_width : params.logits_width;
  const unsigned int last = min(min(static_cast<unsigned int>(max(end, 0)), params.num_keys), room);
  return {begin, max(begin, last)};
}

// The range of `token`; an empty one if there is no such token.
template <bool COMPRESSED>
__device__ __forceinline__ KeyRange load_range(const Params& params, unsigned int token) {
  const bool active = token < params.num_tokens;
  const int start = load_int(params.starts + token, active);
  const int end = load_int(params.ends + token, active);
  return cut_range<COMPRESSED>(params, start, end);
}

// Tiles of keys that hold all of a range: `count` from the tile numbered `first` on.
struct Tiles {
  unsigned int first;
  unsigned int count;
};

__device__ __forceinline__ Tiles tiles_of(const KeyRange& range) {
  if (range.begin >= range.end) return {0, 0};
  const unsigned int first = range.begin / mqa::kTileTokens;
  return {first, (range.end + mqa::kTileTokens - 1) / mqa::kTileTokens - first};
}

// Groups of kBlockQ neighbouring query tokens, as mqa::schedule divides them over workers: each has
// the tiles of the smallest range that holds those of its tokens.
template <class Config>
struct TokenGroups {
  const Params& params;
  unsigned int batch;  // groups
};

// Keys of all tiles of `group`. Requires: group < batch, or not active: then 0.
template <class Config>
__device__ __forceinline__ unsigned int load_longest(const TokenGroups<Config>& groups,
                                                     unsigned int group, bool active) {
  const Params& params = groups.params;
  int starts[Config::kBlockQ];
  int ends[Config::kBlockQ];
#pragma unroll
  for (unsigned int i = 0; i < Config::kBlockQ; ++i) {
    const unsigned int token = group * Config::kBlockQ + i;
    starts[i] = load_int(params.starts + token, active && token < params.num_tokens);
    ends[i] = load_int(params.ends + token, active && token < params.num_tokens);
  }
  KeyRange all{~0u, 0u};
#pragma unroll
  for (unsigned int i = 0; i < Config::kBlockQ; ++i) {
    const KeyRange one = cut_range<Config::COMPRESSED_LOGITS>(params, starts[i], ends[i]);
    if (one.begin == one.end) continue;
    all = {min(all.begin, one.begin), max(all.end, one.end)};
  }
  return tiles_of(all).count * mqa::kTileTokens;
}

}  // namespace mqa_logits
}  // namespace cubinet
