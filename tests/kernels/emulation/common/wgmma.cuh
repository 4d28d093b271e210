// common/wgmma.cuh on the host.
#pragma once

#include "machine.hpp"

namespace cubinet {

inline void wgmma_fence() {}
inline void wgmma_commit_group() { ::jit::test::Machine::current()->commit(); }
template <int PENDING>
void wgmma_wait_group() {
  ::jit::test::Machine::current()->wait_for_products(PENDING);
}
template <int COUNT>
void wgmma_keep_order(float (&)[COUNT]) {}

}  // namespace cubinet
