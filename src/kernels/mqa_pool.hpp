// Random operands of the MQA logits kernels, for tests, benchmarks and tuning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jit/abi.hpp"

namespace jit::inline v1 {

// MqaPool makes random operands: queries N(0, 1) rounded to bf16 and then to e4m3; keys N(0, 1)
// rounded to bf16, scaled by max(|key|, 1e-4) / 448 and rounded to e4m3; weights N(0, 1).
//
// Rows are drawn once; every row of an operand is one of them, chosen at random. What is written
// for an index depends on the seed and the index alone: any part can be made again elsewhere.
// Threads: const members, any.
class MqaPool {
 public:
  MqaPool(std::int64_t head_dim, std::uint64_t seed);

  // Block `block` of a paged cache: block_kv keys [block_kv, head_dim], then their scales.
  // Writes block_kv * (head_dim + 4) bytes.
  void write_block(std::byte* to, std::int64_t block_kv, std::uint64_t block) const;
  // Keys first .. first + count - 1 of a cache that is not paged.
  void write_keys(std::byte* keys, float* scales, std::uint64_t first, std::size_t count) const;
  // Rows of one head of one token each.
  void write_queries(std::byte* to, std::uint64_t first, std::size_t count) const;
  void write_weights(float* to, std::uint64_t first, std::size_t count) const;

 private:
  static constexpr std::size_t kRows = std::size_t{1} << 12;
  static constexpr std::size_t kWeights = std::size_t{1} << 16;

  std::size_t row_bytes_;
  std::uint64_t seed_;
  std::vector<std::byte> queries_;
  std::vector<std::byte> keys_;
  std::vector<float> scales_;
  std::vector<float> weights_;
};

// Random lengths [batch, next_n] around `average`: a request's is uniform in [0.7, 1.3] times that
// and belongs to its last token, those of the others are uniform from 0 to it.
std::vector<std::int32_t> random_context_lens(std::int64_t batch, std::int64_t next_n,
                                              std::int64_t average, std::uint64_t seed);

// The numbers 0 .. count - 1 in random order: which block lies where.
std::vector<std::int32_t> random_permutation(std::int64_t count, std::uint64_t seed);

}  // namespace jit::inline v1
