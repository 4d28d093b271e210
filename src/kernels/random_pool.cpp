#include "kernels/random_pool.hpp"

#include <algorithm>
#include <limits>
#include <random>

#include "kernels/reference/element.hpp"

namespace jit::inline v1 {
namespace {

// Appends `count` bytes of the endless repetition of `pool`, from `offset` on.
void append_repeated(std::span<const std::byte> pool, std::size_t offset, std::size_t count,
                     std::vector<std::byte>& to) {
  while (count > 0) {
    offset %= pool.size();
    const std::size_t some = std::min(pool.size() - offset, count);
    const auto from = pool.subspan(offset, some);
    to.insert(to.end(), from.begin(), from.end());
    offset += some;
    count -= some;
  }
}

void fill(DeviceBuffer& buffer, std::span<const std::byte> pool, std::size_t offset) {
  std::vector<std::byte> bytes;
  bytes.reserve(buffer.size_bytes());
  append_repeated(pool, offset, buffer.size_bytes(), bytes);
  buffer.upload(bytes);
}

}  // namespace

RandomPool::RandomPool(DType type, std::uint64_t seed) : type_(type) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  std::uniform_int_distribution<int> percent(0, 99);
  values_.resize(kElements * bytes_of(type));
  lses_.resize(kElements);
  for (std::size_t i = 0; i < kElements; ++i) {
    reference::store_element(type, values_.data(), i, static_cast<double>(normal(engine)));
    // Five in a hundred rows have an empty side, as in the public benchmark of merge_attn_states.
    lses_[i] = percent(engine) < 5 ? std::numeric_limits<float>::infinity() : normal(engine);
  }
}

void RandomPool::append_values(std::size_t salt, std::uint64_t first, std::size_t count,
                               std::vector<std::byte>& to) const {
  const std::size_t element = (value_offset(salt) + first) % kElements;
  append_repeated(values_, element * bytes_of(type_), count * bytes_of(type_), to);
}

float RandomPool::lse(std::size_t salt, std::uint64_t index) const {
  return lses_[(lse_offset(salt) + index) % kElements];
}

void RandomPool::fill_values(DeviceBuffer& buffer, std::size_t salt) const {
  fill(buffer, values_, value_offset(salt) * bytes_of(type_));
}

void RandomPool::fill_lses(DeviceBuffer& buffer, std::size_t salt) const {
  fill(buffer, std::as_bytes(std::span(lses_)), lse_offset(salt) * sizeof(float));
}

}  // namespace jit::inline v1
