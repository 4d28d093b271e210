// The scores of the MQA logits kernels in float64, in plain C++ on host memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "jit/abi.hpp"

namespace jit::inline v1::reference {

// MqaScore is what one query token makes of one key.
//
//   value = scale * sum over heads of weights[head] * max(0, dot(query[head], key))
//
// magnitude is what the value would be about if the terms of dot and sum had random signs: |scale|
// times |key| times the root of the sum of (weights[head] * |query[head]|)^2, over the root of dim.
// Errors of a sum are measured by it, since the terms may cancel, in a dot as well as over heads.
struct MqaScore {
  double value = 0.0;
  double magnitude = 0.0;
};

// MqaScorer holds the heads of some query tokens and scores keys against all of them.
//
// Dots of e4m3 codes are exact in float64, whatever their order: a product is a multiple of 2^-18
// below 2^18. NaN codes give NaN.
// Threads: const members, any.
class MqaScorer {
 public:
  // Shapes: query [tokens, heads, dim] e4m3 codes, weights [tokens, heads]; both are copied.
  // Requires: heads a multiple of 8.
  struct Queries {
    std::int64_t tokens = 0;
    std::int64_t heads = 0;
    std::int64_t dim = 0;
    const void* query = nullptr;
    const float* weights = nullptr;
  };
  explicit MqaScorer(const Queries& queries);
  ~MqaScorer();
  MqaScorer(MqaScorer&&) noexcept;
  MqaScorer& operator=(MqaScorer&&) noexcept;

  // Scores keys [count, dim] e4m3 with scales [count] fp32, which need no alignment; scores
  // [tokens, count] are written.
  void score(const void* keys, const void* scales, std::size_t count, MqaScore* scores) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace jit::inline v1::reference
