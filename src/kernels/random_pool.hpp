// Random operands of kernels, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "jit/value.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// RandomPool holds random values like attention outputs, N(0, 1), and LSEs, of which five in a
// hundred are +infinity: an empty side. One draw serves all buffers, each from another offset on,
// again and again.
//
// Threads: const members, any.
class RandomPool {
 public:
  RandomPool(DType type, std::uint64_t seed);

  // What the buffer of this salt holds from element `first` on: `count` of them, appended to `to`.
  void append_values(std::size_t salt, std::uint64_t first, std::size_t count,
                     std::vector<std::byte>& to) const;
  float lse(std::size_t salt, std::uint64_t index) const;

  void fill_values(DeviceBuffer& buffer, std::size_t salt) const;
  void fill_lses(DeviceBuffer& buffer, std::size_t salt) const;

 private:
  static constexpr std::size_t kElements = std::size_t{1} << 20;
  static std::size_t value_offset(std::size_t salt) noexcept { return salt * 16 % kElements; }
  static std::size_t lse_offset(std::size_t salt) noexcept { return salt % kElements; }

  DType type_;
  std::vector<std::byte> values_;
  std::vector<float> lses_;
};

}  // namespace jit::inline v1
