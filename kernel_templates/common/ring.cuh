// A place in a ring of buffers that barriers guard (common/mbarrier.cuh has the pattern).
#pragma once

namespace cubinet {

// Ring is a place in a ring of `STAGES` buffers, and how often it went round (its parity).
template <int STAGES>
struct Ring {
  int stage = 0;
  unsigned int parity = 0;

  __device__ __forceinline__ void advance() {
    if (++stage == STAGES) {
      stage = 0;
      parity ^= 1u;
    }
  }

  // Several at once. Requires: by <= STAGES.
  __device__ __forceinline__ void advance(int by) {
    stage += by;
    if (stage >= STAGES) {
      stage -= STAGES;
      parity ^= 1u;
    }
  }
};

}  // namespace cubinet
