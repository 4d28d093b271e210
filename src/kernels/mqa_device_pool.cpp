#include "kernels/mqa_device_pool.hpp"

#include <algorithm>

#include "kernels/mqa_pool.hpp"

namespace jit::inline v1 {
namespace {

template <class T>
std::vector<T> repeated(const std::vector<T>& pool, std::size_t count) {
  std::vector<T> values;
  values.reserve(count);
  while (values.size() < count) {
    const std::size_t some = std::min(pool.size(), count - values.size());
    values.insert(values.end(), pool.begin(), pool.begin() + static_cast<std::ptrdiff_t>(some));
  }
  return values;
}

template <class T>
DeviceBuffer to_device(Driver& driver, const std::vector<T>& values) {
  return DeviceBuffer::of(driver, std::span<const T>(values));
}

}  // namespace

MqaDevicePool::MqaDevicePool(Driver& driver, std::int64_t head_dim, std::int64_t block_kv,
                             std::uint64_t seed)
    : driver_(driver),
      head_dim_(static_cast<std::size_t>(head_dim)),
      queries_(kQueryRows * head_dim_),
      weights_(kWeights) {
  const MqaPool pool(head_dim, seed);
  pool.write_queries(queries_.data(), 0, kQueryRows);
  pool.write_weights(weights_.data(), 0, kWeights);
  device_queries_ = to_device(driver, queries_);
  device_weights_ = to_device(driver, weights_);
  if (block_kv == 0) {
    keys_.resize(kKeys * head_dim_);
    scales_.resize(kKeys);
    pool.write_keys(keys_.data(), scales_.data(), 0, kKeys);
    device_keys_ = to_device(driver, keys_);
    device_scales_ = to_device(driver, scales_);
    return;
  }
  page_count_ = static_cast<std::int64_t>(kKeys) / block_kv;
  const auto page_bytes = static_cast<std::size_t>(block_kv * (head_dim + 4));
  pages_.resize(static_cast<std::size_t>(page_count_) * page_bytes);
  for (std::size_t page = 0; page * page_bytes < pages_.size(); ++page) {
    pool.write_block(pages_.data() + page * page_bytes, block_kv, page);
  }
  device_pages_ = to_device(driver, pages_);
}

std::vector<std::byte> MqaDevicePool::queries(std::size_t count) const {
  return repeated(queries_, count);
}
std::vector<float> MqaDevicePool::weights(std::size_t count) const {
  return repeated(weights_, count);
}
std::vector<std::byte> MqaDevicePool::keys(std::size_t count) const {
  return repeated(keys_, count * head_dim_);
}
std::vector<float> MqaDevicePool::scales(std::size_t count) const {
  return repeated(scales_, count);
}

// Doubles what is there, so that a gigabyte takes a dozen copies.
void MqaDevicePool::repeat(DeviceBuffer& buffer, const DeviceBuffer& pool, Stream stream) const {
  std::size_t done = 0;
  const auto copy = [&](CudaDevicePointer from, std::size_t bytes) {
    driver_.check(driver_.api().copy_async(buffer.address() + done, from, bytes, stream),
                  "copy buffer", "cuMemcpyDtoDAsync");
    done += bytes;
  };
  if (buffer.size_bytes() == 0) return;
  copy(pool.address(), std::min(pool.size_bytes(), buffer.size_bytes()));
  // Before the end is reached whole pools are there.
  while (done < buffer.size_bytes()) {
    copy(buffer.address(), std::min(done, buffer.size_bytes() - done));
  }
}

void MqaDevicePool::fill_queries(DeviceBuffer& buffer, Stream stream) const {
  repeat(buffer, device_queries_, stream);
}
void MqaDevicePool::fill_weights(DeviceBuffer& buffer, Stream stream) const {
  repeat(buffer, device_weights_, stream);
}
void MqaDevicePool::fill_keys(DeviceBuffer& buffer, Stream stream) const {
  repeat(buffer, device_keys_, stream);
}
void MqaDevicePool::fill_scales(DeviceBuffer& buffer, Stream stream) const {
  repeat(buffer, device_scales_, stream);
}
void MqaDevicePool::fill_pages(DeviceBuffer& buffer, Stream stream) const {
  repeat(buffer, device_pages_, stream);
}

}  // namespace jit::inline v1
