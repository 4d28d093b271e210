// common/mbarrier.cuh on the host. For a warp that loads alone: nobody makes it wait, and what it
// announces is told to the test. For a whole block: by a Machine.
#pragma once

#include <functional>

#include "common/shared.cuh"
#include "machine.hpp"

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

inline void mbarrier_init(Mbarrier* barrier, unsigned int count) {
  barrier->state = 0;
  if (auto* const machine = ::jit::test::Machine::current()) machine->init(barrier, count);
}
inline void fence_mbarrier_init() {}
inline void mbarrier_wait_parity(Mbarrier* barrier, unsigned int parity) {
  if (auto* const machine = ::jit::test::Machine::current()) machine->wait(barrier, parity);
}
inline void mbarrier_arrive_expect_tx(Mbarrier* barrier, unsigned int bytes) {
  if (auto* const machine = ::jit::test::Machine::current()) {
    machine->arrive(barrier, bytes);
  } else {
    barrier->state += bytes;
    LoadWatch::current()->arrived(barrier, bytes);
  }
}
inline void mbarrier_arrive(Mbarrier* barrier) { mbarrier_arrive_expect_tx(barrier, 0); }

}  // namespace cubinet
