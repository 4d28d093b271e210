// common/thread.cuh on the host.
#pragma once

#include "warp.hpp"

namespace cubinet {

inline unsigned int thread_now() { return threadIdx.x; }

}  // namespace cubinet
