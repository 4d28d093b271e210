// common/atomic.cuh on the host: the threads of a test run one after another.
#pragma once

#include <utility>

namespace cubinet {

inline unsigned int atomic_add(unsigned int* address, unsigned int value) {
  return std::exchange(*address, *address + value);
}
inline unsigned int atomic_add_acq_rel(unsigned int* address, unsigned int value) {
  return atomic_add(address, value);
}

}  // namespace cubinet
