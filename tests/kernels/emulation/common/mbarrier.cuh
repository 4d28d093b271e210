// common/mbarrier.cuh on the host, for the warp that loads: nobody makes it wait, and what it
// announces is told to the test.
#pragma once

#include <functional>

#include "common/shared.cuh"

namespace cubinet {

// Its state are the bytes that were announced and have not been loaded.
struct alignas(8) Mbarrier {
  unsigned long long state;
};

// Whoever runs a loading warp wants to know of these.
struct LoadWatch {
  // An arrival with an announcement, or without one: 0 bytes. Called in program order.
  std::function<void(Mbarrier* barrier, unsigned int bytes)> arrived;
  // A copy: what the map is, where it begins, where it lands.
  std::function<void(const void* map, int c0, int c1, void* smem, Mbarrier* barrier)> loaded;

  static LoadWatch*& current() {
    static thread_local LoadWatch* watch = nullptr;
    return watch;
  }
};

inline void mbarrier_init(Mbarrier* barrier, unsigned int) { barrier->state = 0; }
inline void fence_mbarrier_init() {}
inline void mbarrier_wait_parity(Mbarrier*, unsigned int) {}
inline void mbarrier_arrive(Mbarrier* barrier) { LoadWatch::current()->arrived(barrier, 0); }
inline void mbarrier_arrive_expect_tx(Mbarrier* barrier, unsigned int bytes) {
  barrier->state += bytes;
  LoadWatch::current()->arrived(barrier, bytes);
}

}  // namespace cubinet
