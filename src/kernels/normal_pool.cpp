#include "kernels/normal_pool.hpp"

#include <algorithm>
#include <random>

#include "kernels/reference/element.hpp"

namespace jit::inline v1 {

NormalPool::NormalPool(Driver& driver, std::uint64_t seed, DType type)
    : driver_(driver),
      type_(type),
      element_bytes_(bytes_of(type)),
      values_(kElements * element_bytes_) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  for (std::size_t i = 0; i < kElements; ++i) {
    reference::store_element(type_, values_.data(), i, normal(engine));
  }
  device_ = DeviceBuffer::of(driver, std::span<const std::byte>(values_));
}

void NormalPool::fill(DeviceBuffer& buffer, std::size_t salt, Stream stream) const {
  std::size_t done = 0;
  const auto copy = [&](CudaDevicePointer from, std::size_t bytes) {
    bytes = std::min(bytes, buffer.size_bytes() - done);
    if (bytes == 0) return;
    driver_.check(driver_.api().copy_async(buffer.address() + done, from, bytes, stream),
                  "copy buffer", "cuMemcpyDtoDAsync");
    done += bytes;
  };
  const std::size_t start = offset(salt) * element_bytes_;
  copy(device_.address() + start, values_.size() - start);
  copy(device_.address(), start);
  // Doubles what is there, so that a gigabyte takes a dozen copies; until the end these are whole
  // pools.
  while (done < buffer.size_bytes()) copy(buffer.address(), done);
}

void NormalPool::append(std::size_t salt, std::uint64_t first, std::size_t count,
                        std::vector<std::byte>& to) const {
  std::size_t element = (offset(salt) + first) % kElements;
  while (count > 0) {
    const std::size_t some = std::min(kElements - element, count);
    const auto from = std::span(values_).subspan(element * element_bytes_, some * element_bytes_);
    to.insert(to.end(), from.begin(), from.end());
    element = 0;
    count -= some;
  }
}

}  // namespace jit::inline v1
