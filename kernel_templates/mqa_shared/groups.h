// How the query tokens of an MQA logits kernel are divided, for host and device.
#pragma once

#include "mqa_shared/tile.h"

namespace cubinet {
namespace mqa {

// Query tokens of one pass over the keys.
JIT_HOST_DEVICE constexpr int tokens_of_pass(int tokens, int passes) {
  return (tokens + passes - 1) / passes;
}

// Query tokens that a pass computes in groups of `group_tokens`, one product each: those it has,
// and with `pads_last_group` the surplus of the last one.
JIT_HOST_DEVICE constexpr int computed_tokens(int tokens, int group_tokens, bool pads_last_group) {
  if (!pads_last_group || group_tokens >= tokens) return tokens;
  return (tokens + group_tokens - 1) / group_tokens * group_tokens;
}

}  // namespace mqa
}  // namespace cubinet
