// What the tests of both MQA logits kernels share.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "kernels/mqa_pool.hpp"
#include "kernels/reference/mqa_logits.hpp"

namespace jit::test {

// The random rows of this run for a head dimension of 32, 64 or 128; drawn once. Threads: any.
const MqaPool& mqa_pool(std::int64_t head_dim);

// Runs item(0) .. item(count - 1) on threads of its own, each with a context that is current, and
// returns what they found wrong, exceptions among it; an empty text is nothing.
std::vector<std::string> run_on_threads(std::size_t count,
                                        const std::function<std::string(std::size_t)>& item);

// What scales of keys look like.
enum class ScalePattern : std::uint8_t {
  kOrdinary,  // those of keys N(0, 1)
  kExtreme,   // from 2^-100 to 2^80, next to each other, and 0
  kNaN,       // ordinary; a few are NaN, and a few keys have a NaN among their codes
};

enum class WeightPattern : std::uint8_t {
  kOrdinary,  // N(0, 1)
  kNegative,  // all below 0: so are all logits
  kSparse,    // nine in ten are 0, and whole tokens
};

// Changes the scale of one key and its codes as the pattern asks; `random` decides.
void apply_pattern(ScalePattern pattern, std::uint64_t random, std::span<std::byte> codes,
                   std::byte* scale);
void apply_pattern(WeightPattern pattern, std::uint64_t seed, std::int64_t num_heads,
                   std::span<float> weights);

// What went wrong in a check, or nothing.
std::string failure_of(const reference::MqaCheck& check, DType logits_type);

}  // namespace jit::test
