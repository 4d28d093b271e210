#include "kernels/mqa_pool.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "kernels/reference/element.hpp"

namespace jit::inline v1 {
namespace {

enum Operand : std::uint64_t { kQuery = 1, kKey = 2, kWeight = 3 };

// A random number of (seed, operand, index).
// Source: SplitMix64's finaliser (Steele, Lea, Flood 2014).
std::uint64_t mixed(std::uint64_t seed, std::uint64_t operand, std::uint64_t index) {
  std::uint64_t bits = seed + operand * 0xD1342543DE82EF95U + index * 0x9E3779B97F4A7C15U;
  bits = (bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9U;
  bits = (bits ^ (bits >> 27)) * 0x94D049BB133111EBU;
  return bits ^ (bits >> 31);
}

double as_bf16(double value) {
  std::uint16_t code = 0;
  reference::store_element(DType::kBF16, &code, 0, value);
  return reference::load_element(DType::kBF16, &code, 0);
}

// Rounds a row to e4m3 after dividing it by its scale, which is returned.
float quantise_key(const std::vector<double>& row, std::byte* to) {
  double largest = 1e-4;
  for (const double value : row) largest = std::max(largest, std::fabs(value));
  const auto scale = static_cast<float>(largest / 448.0);
  const double inverse = 1.0 / static_cast<double>(scale);
  for (std::size_t d = 0; d < row.size(); ++d) {
    reference::store_element(DType::kE4M3, to, d, row[d] * inverse);
  }
  return scale;
}

}  // namespace

MqaPool::MqaPool(std::int64_t head_dim, std::uint64_t seed)
    : row_bytes_(static_cast<std::size_t>(head_dim)),
      seed_(seed),
      queries_(kRows * row_bytes_),
      keys_(kRows * row_bytes_),
      scales_(kRows),
      weights_(kWeights) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  for (std::size_t i = 0; i < queries_.size(); ++i) {
    reference::store_element(DType::kE4M3, queries_.data(), i, as_bf16(normal(engine)));
  }
  std::vector<double> row(row_bytes_);
  for (std::size_t i = 0; i < kRows; ++i) {
    for (double& value : row) value = as_bf16(normal(engine));
    scales_[i] = quantise_key(row, keys_.data() + i * row_bytes_);
  }
  for (float& weight : weights_) weight = static_cast<float>(normal(engine));
}

void MqaPool::write_block(std::byte* to, std::int64_t block_kv, std::uint64_t block) const {
  const auto count = static_cast<std::size_t>(block_kv);
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t row = mixed(seed_, kKey, block * count + i) % kRows;
    std::memcpy(to + i * row_bytes_, keys_.data() + row * row_bytes_, row_bytes_);
    std::memcpy(to + count * row_bytes_ + i * sizeof(float), &scales_[row], sizeof(float));
  }
}

void MqaPool::write_keys(std::byte* keys, float* scales, std::uint64_t first,
                         std::size_t count) const {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t row = mixed(seed_, kKey, first + i) % kRows;
    std::memcpy(keys + i * row_bytes_, keys_.data() + row * row_bytes_, row_bytes_);
    scales[i] = scales_[row];
  }
}

void MqaPool::write_queries(std::byte* to, std::uint64_t first, std::size_t count) const {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t row = mixed(seed_, kQuery, first + i) % kRows;
    std::memcpy(to + i * row_bytes_, queries_.data() + row * row_bytes_, row_bytes_);
  }
}

void MqaPool::write_weights(float* to, std::uint64_t first, std::size_t count) const {
  for (std::size_t i = 0; i < count; ++i) {
    to[i] = weights_[mixed(seed_, kWeight, first + i) % kWeights];
  }
}

std::vector<std::int32_t> random_context_lens(std::int64_t batch, std::int64_t next_n,
                                              std::int64_t average, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_int_distribution<std::int64_t> any_length(average * 7 / 10, average * 13 / 10);
  std::vector<std::int32_t> lengths;
  for (std::int64_t request = 0; request < batch; ++request) {
    const std::int64_t length = any_length(engine);
    std::uniform_int_distribution<std::int64_t> up_to(0, length);
    for (std::int64_t token = 0; token + 1 < next_n; ++token) {
      lengths.push_back(static_cast<std::int32_t>(up_to(engine)));
    }
    lengths.push_back(static_cast<std::int32_t>(length));
  }
  return lengths;
}

std::vector<std::int32_t> random_permutation(std::int64_t count, std::uint64_t seed) {
  std::vector<std::int32_t> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), 0);
  std::mt19937_64 engine(seed);
  std::shuffle(numbers.begin(), numbers.end(), engine);
  return numbers;
}

}  // namespace jit::inline v1
