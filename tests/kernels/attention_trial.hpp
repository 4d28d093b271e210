// Attention as it is written down, on random operands that lie in memory in many ways: what the
// reference and its judge are tested against.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "jit/value.hpp"
#include "kernels/reference/attention.hpp"

namespace jit::test {

struct AttentionShape {
  std::vector<std::int64_t> queries{};  // of each sequence
  std::vector<std::int64_t> keys{};     // empty: as many
  std::int64_t heads = 4;
  std::int64_t kv_heads = 2;
  std::int64_t dim = 192;
  std::int64_t dim_v = 128;
  bool causal = true;
  bool rope_apart = false;
  bool padded = false;  // v is the tail of what k would be with it; heads and tokens have gaps
  std::size_t parts = 1;
  DType type = DType::kBF16;
  double query_factor = 1.0;
  float softmax_scale = 0.0F;
};

// What is done otherwise than attention says.
struct AttentionSlip {
  // Whether query i of q sees key j of k.
  std::function<bool(std::int64_t i, std::int64_t j, std::int64_t q, std::int64_t k)> sees{};
  double scale_factor = 1.0;
  std::int64_t value_head = 0;  // so many heads further
  bool exact_weights = false;   // else rounded to bf16 relative to the largest of the row
  bool eager = false;           // scores, weights and results rounded to bf16
};

// Shapes: output, magnitude [tokens, heads, dim_v], lse, spread [heads, tokens].
struct AttentionResult {
  std::vector<double> output;
  std::vector<double> magnitude;
  std::vector<double> lse;
  std::vector<double> spread;
};

// AttentionTrial has tokens before and behind those of its sequences, and NaN in all gaps.
class AttentionTrial {
 public:
  AttentionTrial(const AttentionShape& shape, std::uint64_t seed);

  const AttentionShape& shape() const { return shape_; }
  std::int64_t tokens() const { return tokens_; }
  // Refers to the trial.
  reference::AttentionProblem problem() const;
  bool causal_sees(std::int64_t i, std::int64_t j, std::int64_t q, std::int64_t k) const;
  AttentionResult attend(const AttentionSlip& slip = {}) const;

  // In every operand from the given key of a sequence on.
  void poison_keys(std::size_t sequence, std::int64_t from, std::int64_t to);

 private:
  struct Array {
    std::vector<std::uint8_t> bytes;
    std::int64_t offset = 0;  // Units: elements
    std::int64_t token_stride = 0;
    std::int64_t head_stride = 0;
  };
  struct Part {
    Array k;
    Array v;
    Array rope;
    std::vector<std::int32_t> cu_seqlens;
    std::vector<std::int64_t> firsts;  // of the sequences' keys
  };
  struct Slice {
    std::int64_t tokens = 0;
    std::int64_t heads = 0;
    std::int64_t elements = 0;
    std::int64_t gap = 0;  // elements before each head's own
  };

  Array make_array(const Slice& slice) const;
  void put(Array& array, std::int64_t token, std::int64_t head, std::int64_t i, double value) const;
  reference::AttentionOperand operand(const Array& array) const;
  void lay_out_queries();
  void lay_out_part(std::size_t part);
  void attend_row(std::size_t sequence, std::int64_t i, std::int64_t head,
                  const AttentionSlip& slip, AttentionResult& result) const;
  std::vector<double> weights_of(std::vector<double> scores, const AttentionSlip& slip,
                                 double& lse) const;

  AttentionShape shape_;
  std::vector<std::int32_t> cu_q_;
  std::vector<std::int64_t> key_begin_;  // of the sequences, in k_ and v_
  std::int64_t tokens_ = 0;
  std::vector<double> q_;  // [tokens, heads, dim]
  std::vector<double> k_;  // [keys, kv_heads, dim]
  std::vector<double> v_;  // [keys, kv_heads, dim_v]
  Array queries_;
  std::vector<Part> parts_;
};

}  // namespace jit::test
