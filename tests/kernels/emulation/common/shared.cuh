// common/shared.cuh on the host: an address is what a test wants it to be.
#pragma once

#include <bit>
#include <cstdint>

#include "warp.hpp"

namespace cubinet {

inline unsigned int shared_address(const void* pointer) {
  return static_cast<unsigned int>(std::bit_cast<std::uintptr_t>(pointer));
}

}  // namespace cubinet
