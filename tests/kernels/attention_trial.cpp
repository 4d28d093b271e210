#include "kernels/attention_trial.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kBefore = 3;  // tokens of no sequence
constexpr std::int64_t kBehind = 2;
constexpr std::int64_t kRope = 64;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(std::int64_t index) { return static_cast<std::size_t>(index); }

double as(DType type, double value) {
  std::uint32_t storage = 0;
  reference::store_element(type, &storage, 0, value);
  return reference::load_element(type, &storage, 0);
}

}  // namespace

AttentionTrial::AttentionTrial(const AttentionShape& shape, std::uint64_t seed) : shape_(shape) {
  if (shape_.keys.empty()) shape_.keys = shape_.queries;
  cu_q_.push_back(kBefore);
  key_begin_.push_back(0);
  for (std::size_t i = 0; i < shape_.queries.size(); ++i) {
    cu_q_.push_back(cu_q_.back() + static_cast<std::int32_t>(shape_.queries[i]));
    key_begin_.push_back(key_begin_.back() + shape_.keys[i]);
  }
  tokens_ = cu_q_.back() + kBehind;
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  const auto fill = [&](std::vector<double>& values, std::int64_t count, double factor) {
    values.resize(at(count));
    for (double& value : values) value = as(shape_.type, factor * normal(random));
  };
  fill(q_, tokens_ * shape_.heads * shape_.dim, shape_.query_factor);
  fill(k_, key_begin_.back() * shape_.kv_heads * shape_.dim, 1.0);
  fill(v_, key_begin_.back() * shape_.kv_heads * shape_.dim_v, 1.0);
  lay_out_queries();
  parts_.resize(shape_.parts);
  for (std::size_t part = 0; part < parts_.size(); ++part) lay_out_part(part);
}

AttentionTrial::Array AttentionTrial::make_array(const Slice& slice) const {
  Array array;
  array.offset = slice.gap;
  array.head_stride = slice.gap + slice.elements;
  array.token_stride = slice.heads * array.head_stride + (shape_.padded ? 24 : 0);
  const std::int64_t count = slice.tokens * array.token_stride + array.offset;
  array.bytes.assign(at(count) * bytes_of(shape_.type), 0xFF);
  return array;
}

void AttentionTrial::put(Array& array, std::int64_t token, std::int64_t head, std::int64_t i,
                         double value) const {
  const std::int64_t index =
      array.offset + token * array.token_stride + head * array.head_stride + i;
  reference::store_element(shape_.type, array.bytes.data(), static_cast<std::uint64_t>(index),
                           value);
}

reference::AttentionOperand AttentionTrial::operand(const Array& array) const {
  return {array.bytes.data() + at(array.offset) * bytes_of(shape_.type), array.token_stride,
          array.head_stride};
}

void AttentionTrial::lay_out_queries() {
  queries_ = make_array({tokens_, shape_.heads, shape_.dim, shape_.padded ? 8 : 0});
  for (std::int64_t row = 0; row < tokens_ * shape_.heads; ++row) {
    for (std::int64_t i = 0; i < shape_.dim; ++i) {
      put(queries_, row / shape_.heads, row % shape_.heads, i, q_[at(row * shape_.dim + i)]);
    }
  }
}

// Each part has its share of every sequence, the last one what is left.
void AttentionTrial::lay_out_part(std::size_t index) {
  Part& part = parts_[index];
  part.cu_seqlens.push_back(1);  // a token of no sequence comes first
  for (const std::int64_t keys : shape_.keys) {
    const std::int64_t share = keys / static_cast<std::int64_t>(shape_.parts);
    const std::int64_t first = share * static_cast<std::int64_t>(index);
    part.firsts.push_back(first);
    const std::int64_t count = index + 1 == shape_.parts ? keys - first : share;
    part.cu_seqlens.push_back(part.cu_seqlens.back() + static_cast<std::int32_t>(count));
  }
  const std::int64_t own = shape_.dim - (shape_.rope_apart ? kRope : 0);
  const std::int64_t tokens = part.cu_seqlens.back() + 1;
  part.k = make_array({tokens, shape_.kv_heads, own, 0});
  part.v = make_array({tokens, shape_.kv_heads, shape_.dim_v, shape_.padded ? own : 0});
  if (shape_.rope_apart) part.rope = make_array({tokens, 1, kRope, 0});
  for (std::size_t sequence = 0; sequence < shape_.keys.size(); ++sequence) {
    for (std::int64_t token = part.cu_seqlens[sequence]; token < part.cu_seqlens[sequence + 1];
         ++token) {
      const std::int64_t j = part.firsts[sequence] + token - part.cu_seqlens[sequence];
      for (std::int64_t head = 0; head < shape_.kv_heads; ++head) {
        const std::int64_t row = (key_begin_[sequence] + j) * shape_.kv_heads + head;
        // The rope part is one for all heads: that of the first.
        const std::int64_t rope_row = row - head;
        for (std::int64_t i = own; i < shape_.dim; ++i) {
          k_[at(row * shape_.dim + i)] = k_[at(rope_row * shape_.dim + i)];
          if (head == 0) put(part.rope, token, 0, i - own, k_[at(row * shape_.dim + i)]);
        }
        for (std::int64_t i = 0; i < own; ++i) {
          put(part.k, token, head, i, k_[at(row * shape_.dim + i)]);
        }
        for (std::int64_t i = 0; i < shape_.dim_v; ++i) {
          put(part.v, token, head, i, v_[at(row * shape_.dim_v + i)]);
        }
      }
    }
  }
}

void AttentionTrial::poison_keys(std::size_t sequence, std::int64_t from, std::int64_t to) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const auto fill = [&](std::vector<double>& values, std::int64_t elements) {
    const auto begin = values.begin();
    std::fill(begin + (key_begin_[sequence] + from) * elements,
              begin + (key_begin_[sequence] + to) * elements, nan);
  };
  fill(k_, shape_.kv_heads * shape_.dim);
  fill(v_, shape_.kv_heads * shape_.dim_v);
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    parts_[part] = {};
    lay_out_part(part);
  }
}

reference::AttentionProblem AttentionTrial::problem() const {
  reference::AttentionProblem problem;
  problem.type = shape_.type;
  problem.num_sequences = static_cast<std::int64_t>(shape_.queries.size());
  problem.num_tokens = tokens_;
  problem.num_heads = shape_.heads;
  problem.num_kv_heads = shape_.kv_heads;
  problem.head_dim = shape_.dim;
  problem.head_dim_v = shape_.dim_v;
  problem.causal = shape_.causal;
  problem.softmax_scale = shape_.softmax_scale;
  problem.q = operand(queries_);
  problem.cu_seqlens_q = cu_q_.data();
  for (const Part& part : parts_) {
    reference::AttentionKeys keys{operand(part.k), operand(part.v), {}, part.cu_seqlens.data()};
    if (shape_.rope_apart) keys.rope = operand(part.rope);
    problem.keys.push_back(keys);
  }
  return problem;
}

bool AttentionTrial::causal_sees(std::int64_t i, std::int64_t j, std::int64_t q,
                                 std::int64_t k) const {
  return !shape_.causal || j - (k - q) <= i;
}

AttentionResult AttentionTrial::attend(const AttentionSlip& slip) const {
  AttentionResult result;
  const std::int64_t rows = tokens_ * shape_.heads;
  result.output.resize(at(rows * shape_.dim_v));
  result.magnitude.resize(at(rows * shape_.dim_v));
  result.lse.resize(at(rows));
  result.spread.resize(at(rows));
  for (std::size_t sequence = 0; sequence < shape_.queries.size(); ++sequence) {
    for (std::int64_t i = 0; i < shape_.queries[sequence]; ++i) {
      for (std::int64_t head = 0; head < shape_.heads; ++head) {
        attend_row(sequence, i, head, slip, result);
      }
    }
  }
  return result;
}

std::vector<double> AttentionTrial::weights_of(std::vector<double> scores,
                                               const AttentionSlip& slip, double& lse) const {
  double largest = -kInfinity;
  for (double& score : scores) {
    if (slip.eager) score = as(DType::kBF16, score);
    largest = std::max(largest, score);
  }
  double sum = 0.0;
  for (double& score : scores) sum += score = std::exp(score - largest);
  lse = scores.empty() ? -kInfinity : largest + std::log(sum);
  for (double& weight : scores) {
    if (slip.eager) weight = as(DType::kBF16, weight / sum);
    else weight = (slip.exact_weights ? weight : as(DType::kBF16, weight)) / sum;
  }
  return scores;
}

void AttentionTrial::attend_row(std::size_t sequence, std::int64_t i, std::int64_t head,
                                const AttentionSlip& slip, AttentionResult& result) const {
  const std::int64_t queries = shape_.queries[sequence];
  const std::int64_t keys = shape_.keys[sequence];
  const std::int64_t token = cu_q_[sequence] + i;
  const std::int64_t kv_head = head / (shape_.heads / shape_.kv_heads);
  const double scale =
      slip.scale_factor *
      static_cast<double>(
          shape_.softmax_scale != 0.0F
              ? shape_.softmax_scale
              : static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape_.dim))));
  std::vector<std::int64_t> seen;
  std::vector<double> scores;
  for (std::int64_t j = 0; j < keys; ++j) {
    if (!(slip.sees ? slip.sees(i, j, queries, keys) : causal_sees(i, j, queries, keys))) continue;
    const double* const q = &q_[at((token * shape_.heads + head) * shape_.dim)];
    const double* const k =
        &k_[at(((key_begin_[sequence] + j) * shape_.kv_heads + kv_head) * shape_.dim)];
    double dot = 0.0;
    for (std::int64_t d = 0; d < shape_.dim; ++d) dot += q[d] * k[d];
    seen.push_back(key_begin_[sequence] + j);
    scores.push_back(scale * dot);
  }
  const std::size_t lse_at = at(head * tokens_ + token);
  const std::vector<double> weights = weights_of(scores, slip, result.lse[lse_at]);
  const std::int64_t v_head = (kv_head + slip.value_head) % shape_.kv_heads;
  double spread = 0.0;
  for (std::int64_t d = 0; d < shape_.dim_v; ++d) {
    const std::size_t to = at((token * shape_.heads + head) * shape_.dim_v + d);
    for (std::size_t j = 0; j < seen.size(); ++j) {
      const double term =
          weights[j] * v_[at((seen[j] * shape_.kv_heads + v_head) * shape_.dim_v + d)];
      result.output[to] += term;
      result.magnitude[to] += std::fabs(term);
      spread += term * term / static_cast<double>(shape_.dim_v);
    }
    if (slip.eager) result.output[to] = as(DType::kBF16, result.output[to]);
  }
  result.spread[lse_at] = std::sqrt(spread);
}

}  // namespace jit::test
