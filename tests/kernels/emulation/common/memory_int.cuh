// common/memory_int.cuh in place of PTX.
#pragma once

#include "common/memory.cuh"

namespace cubinet {

inline int load_int(const int* address, bool active) { return copy_in<int>(address, active); }
inline void store_int(int* address, int value) { copy_out(address, value); }

}  // namespace cubinet
