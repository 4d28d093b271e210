// Random operands of the MQA logits kernels in device memory, for benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "jit/abi.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// MqaDevicePool holds a few megabytes of what MqaPool makes, on the host and on the device, and
// fills buffers of any length with it, again and again, at the speed of device memory.
//
// Threads: const members, any.
class MqaDevicePool {
 public:
  // block_kv: keys of a page, which holds their codes and then their scales; 0: no pages, but keys
  // and scales apart.
  MqaDevicePool(Driver& driver, std::int64_t head_dim, std::int64_t block_kv, std::uint64_t seed);

  // What buffers of so many codes, floats or keys hold.
  std::vector<std::byte> queries(std::size_t count) const;
  std::vector<float> weights(std::size_t count) const;
  std::vector<std::byte> keys(std::size_t count) const;
  std::vector<float> scales(std::size_t count) const;
  // Page p of a buffer of pages is page p % page_count() of these.
  std::span<const std::byte> pages() const noexcept { return pages_; }
  std::int64_t page_count() const noexcept { return page_count_; }

  // Enqueue filling a whole buffer. Lifetime: the pool lives until that is done.
  void fill_queries(DeviceBuffer& buffer, Stream stream) const;
  void fill_weights(DeviceBuffer& buffer, Stream stream) const;
  void fill_keys(DeviceBuffer& buffer, Stream stream) const;
  void fill_scales(DeviceBuffer& buffer, Stream stream) const;
  void fill_pages(DeviceBuffer& buffer, Stream stream) const;

 private:
  // Primes times sizes of pages and rows: neighbours differ.
  static constexpr std::size_t kKeys = std::size_t{251} * 64;
  static constexpr std::size_t kQueryRows = std::size_t{1021} * 8;
  static constexpr std::size_t kWeights = std::size_t{1021} * 64;

  void repeat(DeviceBuffer& buffer, const DeviceBuffer& pool, Stream stream) const;

  Driver& driver_;
  std::size_t head_dim_;
  std::int64_t page_count_ = 0;
  std::vector<std::byte> queries_;
  std::vector<float> weights_;
  std::vector<std::byte> keys_;
  std::vector<float> scales_;
  std::vector<std::byte> pages_;
  DeviceBuffer device_queries_, device_weights_, device_keys_, device_scales_, device_pages_;
};

}  // namespace jit::inline v1
