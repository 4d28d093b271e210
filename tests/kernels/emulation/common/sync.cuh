// common/sync.cuh on the host.
#pragma once

#include "machine.hpp"

namespace cubinet {

inline bool elect_one() { return threadIdx.x % ::jit::test::kLanes == 0; }

inline void fence_proxy_async_shared() {}
inline void named_barrier_sync(unsigned int id, unsigned int threads) {
  ::jit::test::Machine::current()->synchronize_named(id, threads);
}
inline void named_barrier_arrive(unsigned int id, unsigned int threads) {
  ::jit::test::Machine::current()->arrive_named(id, threads);
}
template <int ID>
void named_barrier_sync(unsigned int threads) {
  named_barrier_sync(ID, threads);
}
template <int ID>
void named_barrier_arrive(unsigned int threads) {
  named_barrier_arrive(ID, threads);
}
template <int COUNT>
void register_release() {}
template <int COUNT>
void register_allocate() {}

}  // namespace cubinet
