// Random operands in device memory, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "jit/value.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// NormalPool holds N(0, 1) of a type on the host and on the device, and fills buffers of any length
// with it, again and again, at the speed of device memory. One draw serves all buffers, each from
// another offset on.
//
// Threads: const members, any.
class NormalPool {
 public:
  NormalPool(Driver& driver, std::uint64_t seed, DType type = DType::kBF16);

  // Enqueues filling a whole buffer. Lifetime: the pool lives until that is done.
  void fill(DeviceBuffer& buffer, std::size_t salt, Stream stream) const;
  // What the buffer of this salt holds from element `first` on: `count` of them, appended to `to`.
  void append(std::size_t salt, std::uint64_t first, std::size_t count,
              std::vector<std::byte>& to) const;

 private:
  // A prime times the elements of 16 bytes of bf16: rows of heads start anywhere in it, aligned,
  // and no two rows of a long sequence are the same.
  static constexpr std::size_t kElements = std::size_t{131071} * 8;
  static std::size_t offset(std::size_t salt) noexcept { return salt * 8 * 40'009 % kElements; }

  Driver& driver_;
  DType type_;
  std::size_t element_bytes_;
  std::vector<std::byte> values_;
  DeviceBuffer device_;
};

}  // namespace jit::inline v1
