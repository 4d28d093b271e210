// What tests of graphs and of chains of attention share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "gpu/gpu.hpp"

namespace jit::test {

// Copies to device memory; returns when all of it is there.
void upload(const void* to, std::span<const std::byte> bytes);

// So many lengths, some of them 0, that add up to `sum`.
std::vector<std::int32_t> random_lengths(std::size_t count, std::int32_t sum,
                                         std::mt19937_64& engine);

// Whether rows still differ from each other: a chain whose values have all become one says nothing.
bool is_lively(std::span<const std::byte> bytes, std::size_t row_bytes);

// Copies tokens between packed host memory and the device, where they lie `stride` bytes apart.
class FarTokens {
 public:
  FarTokens(const DeviceBuffer& buffer, std::size_t token_bytes, std::size_t stride)
      : buffer_(buffer), token_bytes_(token_bytes), stride_(stride) {}

  void upload(std::span<const std::byte> packed) const;
  void download(std::span<std::byte> packed) const;

 private:
  CudaDevicePointer address(std::size_t packed_offset) const {
    return buffer_.address() + packed_offset / token_bytes_ * stride_;
  }
  const DeviceBuffer& buffer_;
  std::size_t token_bytes_;
  std::size_t stride_;
};

}  // namespace jit::test
