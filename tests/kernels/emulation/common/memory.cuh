// common/memory.cuh in place of PTX: plain copies on the host, refused if they are not aligned.
#pragma once

#include <cstdint>
#include <cstring>

#include "warp.hpp"

namespace cubinet {

struct Words4 {
  unsigned int word[4];
};

struct Words2 {
  unsigned int word[2];
};

template <class T>
T copy_in(const void* address, bool active) {
  T value{};
  if (!active) return value;
  if (std::bit_cast<std::uintptr_t>(address) % sizeof(T) != 0) {
    throw std::logic_error("load: not aligned");
  }
  std::memcpy(&value, address, sizeof(value));
  return value;
}

template <class T>
void copy_out(void* address, const T& value) {
  if (std::bit_cast<std::uintptr_t>(address) % sizeof(T) != 0) {
    throw std::logic_error("store: not aligned");
  }
  std::memcpy(address, &value, sizeof(value));
}

inline Words4 load_16_bytes(const void* address, bool active) {
  return copy_in<Words4>(address, active);
}
inline Words4 load_16_bytes_no_allocate(const void* address, bool active) {
  return copy_in<Words4>(address, active);
}
inline float load_float(const float* address, bool active) {
  return copy_in<float>(address, active);
}
inline void store_16_bytes_streaming(void* address, const Words4& value) {
  copy_out(address, value);
}
inline void store_8_bytes_streaming(void* address, const Words2& value) {
  copy_out(address, value);
}
inline void store_4_bytes_streaming(void* address, unsigned int value) { copy_out(address, value); }
inline void store_float(float* address, float value) { copy_out(address, value); }

inline void wait_for_previous_grids() {}
inline void allow_next_grids() {}

}  // namespace cubinet
