// GuardedBuffer: device memory between two bands that nothing may write to.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "load/device_memory.hpp"

namespace jit::test {

inline constexpr std::size_t kGuardBytes = 512;
inline constexpr std::byte kGuardByte{0xC3};

// Image is a GuardedBuffer as it was downloaded.
struct Image {
  std::vector<std::byte> bytes;  // front band, payload, rear band
  std::size_t front_bytes = 0;

  std::span<std::byte> payload() {
    return std::span(bytes).subspan(front_bytes, bytes.size() - front_bytes - kGuardBytes);
  }
  std::span<const std::byte> payload() const {
    return std::span(bytes).subspan(front_bytes, bytes.size() - front_bytes - kGuardBytes);
  }
  // Where a band was written to; empty if nowhere.
  std::string guard_damage() const;
};

class GuardedBuffer {
 public:
  // The payload begins `shift_bytes` past a 512-byte boundary.
  GuardedBuffer(Driver& driver, std::span<const std::byte> payload, std::size_t shift_bytes = 0);

  template <class T>
  T* as() const noexcept {
    return reinterpret_cast<T*>(static_cast<std::uintptr_t>(buffer_.address() + front_bytes_));
  }
  Image download() const;

 private:
  std::size_t front_bytes_;
  DeviceBuffer buffer_;
};

}  // namespace jit::test
