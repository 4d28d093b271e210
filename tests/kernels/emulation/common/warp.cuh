// common/warp.cuh on the host: what a loading warp takes of it.
#pragma once

#include "block.hpp"

namespace cubinet {

inline unsigned int warp_uniform(unsigned int value) { return __shfl_sync(0xFFFFFFFFu, value, 0); }
inline int warp_uniform(int value) {
  return static_cast<int>(warp_uniform(static_cast<unsigned int>(value)));
}

}  // namespace cubinet
