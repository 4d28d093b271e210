#include "kernels/fp8_attention_trial.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "kernels/reference/element.hpp"
#include "kernels/reference/rounding.hpp"

namespace jit::test {
namespace {

using reference::AttentionRow;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::int32_t kBefore = 2;  // tokens of no sequence
constexpr std::int32_t kBehind = 3;

std::size_t at_index(std::int64_t index) { return static_cast<std::size_t>(index); }

double e4m3(double value) {
  return reference::round_to(reference::kE4M3Format, value, reference::Overflow::kSaturate);
}

void put(std::vector<std::uint8_t>& codes, std::size_t index, double value) {
  reference::store_element(DType::kE4M3, codes.data(), index, value);
}

}  // namespace

Fp8Trial::Fp8Trial(const Fp8Shape& shape, std::uint64_t seed) : shape_(shape) {
  const std::int32_t room = shape.used ? 5 : 0;
  cu_q_ = {kBefore};
  cu_k_ = {kBefore};
  for (std::size_t i = 0; i < shape.queries.size(); ++i) {
    used_q_.push_back(static_cast<std::int32_t>(shape.queries[i]));
    used_k_.push_back(static_cast<std::int32_t>(shape.keys[i]));
    cu_q_.push_back(cu_q_.back() + used_q_.back() + room);
    cu_k_.push_back(cu_k_.back() + used_k_.back() + room);
  }
  tokens_ = cu_q_.back() + kBehind;
  draw(seed);
  lay_out();
}

void Fp8Trial::draw(std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::normal_distribution<double> normal;
  std::uniform_real_distribution<float> factor(0.1F, 2.0F);
  const auto fill = [&](std::int64_t count, double deviation, double mean) {
    std::vector<double> values(at_index(count));
    for (double& value : values) value = e4m3(mean + deviation * normal(random));
    return values;
  };
  q_ = fill(tokens_ * shape_.heads * shape_.dim, shape_.query_factor, 0.0);
  for (const std::int64_t keys : shape_.keys) {
    k_.push_back(fill(keys * shape_.kv_heads * shape_.dim, 1.0, 0.0));
    v_.push_back(fill(keys * shape_.kv_heads * shape_.dim_v, 1.0, shape_.mean));
  }
  for (auto& descales : descales_) {
    descales.resize(at_index(shape_.kv_heads) * shape_.keys.size());
    for (float& value : descales) value = factor(random);
  }
  for (std::int64_t head = 0; head < shape_.heads; ++head) {
    sinks_bf16_.push_back(static_cast<std::uint16_t>(
        reference::encode(reference::kBF16Format, 2.0 + 2 * normal(random))));
    const double sink = reference::decode(reference::kBF16Format, sinks_bf16_.back());
    sinks_.push_back(static_cast<float>(sink));
  }
}

std::size_t Fp8Trial::place_of(std::size_t sequence, std::int64_t key) const {
  if (shape_.page == 0) return at_index(cu_k_[sequence] + key);
  const std::size_t entry = sequence * at_index(pages_of_sequence_) + at_index(key / shape_.page);
  return at_index(pages_[entry] * shape_.page + key % shape_.page);
}

// A page's place, which is a token of no page behind each, is part of no sequence.
void Fp8Trial::lay_out() {
  std::size_t places = at_index(cu_k_.back() + kBehind);
  if (shape_.page != 0) {
    const std::int64_t longest = *std::max_element(shape_.keys.begin(), shape_.keys.end());
    pages_of_sequence_ = longest / shape_.page + 1;
    const auto count = shape_.keys.size() * at_index(pages_of_sequence_);
    for (std::size_t i = 0; i < count; ++i) {
      pages_.push_back(static_cast<std::int32_t>(count - i));
    }
    places = (count + 1) * at_index(shape_.page);
  }
  k_codes_.assign(places * at_index(shape_.kv_heads * shape_.dim), 0x7F);
  v_codes_.assign(places * at_index(shape_.kv_heads * shape_.dim_v), 0xFF);
  for (std::size_t sequence = 0; sequence < k_.size(); ++sequence) {
    const std::size_t k_row = at_index(shape_.kv_heads * shape_.dim);
    const std::size_t v_row = at_index(shape_.kv_heads * shape_.dim_v);
    for (std::int64_t key = 0; key < shape_.keys[sequence]; ++key) {
      const std::size_t place = place_of(sequence, key);
      for (std::size_t i = 0; i < k_row; ++i) {
        put(k_codes_, place * k_row + i, k_[sequence][at_index(key) * k_row + i]);
      }
      for (std::size_t i = 0; i < v_row; ++i) {
        put(v_codes_, place * v_row + i, v_[sequence][at_index(key) * v_row + i]);
      }
    }
  }
  q_codes_.resize(q_.size());
  for (std::size_t i = 0; i < q_.size(); ++i) put(q_codes_, i, q_[i]);
}

void Fp8Trial::poison_key(std::size_t sequence, std::int64_t key) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::size_t row = at_index(shape_.kv_heads * shape_.dim);
  std::fill_n(&k_[sequence][at_index(key) * row], row, nan);
  lay_out();
}

reference::AttentionProblem Fp8Trial::problem() const {
  reference::AttentionProblem problem;
  problem.type = DType::kE4M3;
  problem.num_sequences = static_cast<std::int64_t>(shape_.queries.size());
  problem.num_tokens = tokens_;
  problem.num_heads = shape_.heads;
  problem.num_kv_heads = shape_.kv_heads;
  problem.head_dim = shape_.dim;
  problem.head_dim_v = shape_.dim_v;
  problem.causal = shape_.causal;
  problem.softmax_scale = shape_.scale;
  problem.q = {q_codes_.data(), shape_.heads * shape_.dim, shape_.dim};
  problem.cu_seqlens_q = cu_q_.data();
  problem.window_left = shape_.left;
  problem.window_right = shape_.right;
  problem.softcap = shape_.softcap;
  reference::AttentionKeys keys;
  keys.k = {k_codes_.data(), shape_.kv_heads * shape_.dim, shape_.dim,
            shape_.page * shape_.kv_heads * shape_.dim};
  keys.v = {v_codes_.data(), shape_.kv_heads * shape_.dim_v, shape_.dim_v,
            shape_.page * shape_.kv_heads * shape_.dim_v};
  if (shape_.page == 0) keys.cu_seqlens = cu_k_.data();
  if (shape_.page != 0) keys.pages = {pages_.data(), pages_of_sequence_, shape_.page};
  if (shape_.used || shape_.page != 0) keys.used = used_k_.data();
  if (shape_.used) problem.used_q = used_q_.data();
  problem.keys = {keys};
  const std::int64_t sequence_stride = shape_.descales == 1 ? shape_.kv_heads : 0;
  const std::int64_t head_stride = shape_.descales == 3 ? 0 : 1;
  if (shape_.descales != 0) {
    problem.q_descale = {descales_[0].data(), sequence_stride, head_stride};
    problem.k_descale = {descales_[1].data(), sequence_stride, head_stride};
    problem.v_descale = {descales_[2].data(), sequence_stride, head_stride};
  }
  if (shape_.sinks == 1) problem.sinks = {DType::kBF16, sinks_bf16_.data()};
  if (shape_.sinks == 2) problem.sinks = {DType::kF32, sinks_.data()};
  return problem;
}

Fp8Trial::At Fp8Trial::at(const AttentionRow& row) const {
  At at;
  while (row.token >= cu_q_[at.sequence + 1]) ++at.sequence;
  at.query = row.token - cu_q_[at.sequence];
  at.kv_head = row.head / (shape_.heads / shape_.kv_heads);
  return at;
}

double Fp8Trial::descale(int which, const At& at, std::int64_t head) const {
  const std::vector<float>& values = descales_[which];
  switch (shape_.descales) {
    case 1:
      return static_cast<double>(values[at.sequence * at_index(shape_.kv_heads) + at_index(head)]);
    case 2: return static_cast<double>(values[at_index(head)]);
    case 3: return static_cast<double>(values[0]);
    default: return 1.0;
  }
}

double Fp8Trial::score(const AttentionRow& row, const At& at, std::int64_t key,
                       const Fp8Slip& slip) const {
  const std::int64_t head = (at.kv_head + slip.key_head) % shape_.kv_heads;
  double dot = 0.0;
  for (std::int64_t d = 0; d < shape_.dim; ++d) {
    dot += q_[at_index((row.token * shape_.heads + row.head) * shape_.dim + d)] *
           k_[at.sequence][at_index((key * shape_.kv_heads + head) * shape_.dim + d)];
  }
  const std::int64_t other = (at.kv_head + slip.descale_head) % shape_.kv_heads;
  const auto default_scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(shape_.dim)));
  const double score = dot *
                       static_cast<double>(shape_.scale != 0.0F ? shape_.scale : default_scale) *
                       descale(0, at, other) * descale(1, at, other);
  if (shape_.softcap == 0.0F) return score;
  const auto cap = static_cast<double>(shape_.softcap);
  return cap * std::tanh(score / cap);
}

Fp8Trial::Seen Fp8Trial::seen_by(const AttentionRow& row, const At& at, const Fp8Slip& slip) const {
  const std::int64_t keys = shape_.keys[at.sequence];
  const std::int64_t own = at.query + keys - shape_.queries[at.sequence];
  const std::int64_t left = slip.swaps_windows ? shape_.right : shape_.left;
  const std::int64_t right = slip.swaps_windows ? shape_.left : shape_.right;
  std::int64_t first = left < 0 ? 0 : own - left;
  std::int64_t last = right < 0 ? keys - 1 : own + right;
  if (shape_.causal && last > own) last = own;
  first -= slip.begin;
  last += slip.end;
  Seen seen;
  for (std::int64_t key = 0; key < keys; ++key) {
    if (key < first || key > last) continue;
    seen.keys.push_back(key);
    seen.scores.push_back(score(row, at, key, slip));
  }
  return seen;
}

double Fp8Trial::sink(std::int64_t head) const {
  return shape_.sinks == 0 ? -kInfinity : static_cast<double>(sinks_[at_index(head)]);
}

double Fp8Trial::value(const At& at, std::int64_t key, std::int64_t d, const Fp8Slip& slip) const {
  const std::int64_t other = (at.kv_head + slip.descale_head) % shape_.kv_heads;
  return descale(2, at, other) *
         v_[at.sequence][at_index((key * shape_.kv_heads + at.kv_head) * shape_.dim_v + d)];
}

Fp8Row Fp8Trial::attend(const AttentionRow& row, const Fp8Slip& slip) const {
  const At place = at(row);
  const Seen seen = seen_by(row, place, slip);
  const double sink = slip.forgets_sink ? -kInfinity : this->sink(row.head);
  Fp8Row to;
  to.seen = static_cast<std::int64_t>(seen.keys.size());
  to.output.assign(at_index(shape_.dim_v), 0.0);
  to.magnitude = to.floor = to.output;
  if (slip.block != 0) {
    attend_in_tiles(place, seen, slip, sink, to);
    return to;
  }
  double sum = std::exp(sink);
  double largest = 0.0;
  for (const double score : seen.scores) {
    sum += std::exp(score);
    largest = std::max(largest, std::exp(score));
  }
  to.lse = std::log(sum);
  for (std::size_t j = 0; j < seen.keys.size(); ++j) {
    for (std::int64_t d = 0; d < shape_.dim_v; ++d) {
      const double element = value(place, seen.keys[j], d, slip);
      to.output[at_index(d)] += std::exp(seen.scores[j]) / sum * element;
      to.magnitude[at_index(d)] += std::exp(seen.scores[j]) / sum * std::fabs(element);
      to.floor[at_index(d)] += largest / sum * std::fabs(element);
    }
  }
  return to;
}

void Fp8Trial::attend_in_tiles(const At& at, const Seen& seen, const Fp8Slip& slip, double sink,
                               Fp8Row& to) const {
  std::vector<std::int64_t> tiles;
  for (const std::int64_t key : seen.keys) {
    if (tiles.empty() || tiles.back() != key / slip.block) tiles.push_back(key / slip.block);
  }
  if (!slip.first_to_last) std::reverse(tiles.begin(), tiles.end());
  if (slip.skips_tile && tiles.size() > 1) tiles.pop_back();
  double largest = -kInfinity;
  double sum = 0.0;
  for (std::size_t t = 0; t < tiles.size(); ++t) {
    const double before = largest;
    for (std::size_t j = 0; j < seen.keys.size(); ++j) {
      if (seen.keys[j] / slip.block == tiles[t]) largest = std::max(largest, seen.scores[j]);
    }
    const double shrink = t == 0 ? 0.0 : std::exp(before - largest);
    const bool forgets = slip.forgets_rescale && t == 1;
    for (double& element : to.output) element *= forgets ? 1.0 : shrink;
    sum *= shrink;
    for (std::size_t j = 0; j < seen.keys.size(); ++j) {
      if (seen.keys[j] / slip.block != tiles[t]) continue;
      const double weight = std::exp(seen.scores[j] - largest) * std::exp2(slip.offset);
      sum += slip.sums_quantised ? e4m3(weight) : weight;
      for (std::int64_t d = 0; d < shape_.dim_v; ++d) {
        to.output[at_index(d)] += e4m3(weight) * value(at, seen.keys[j], d, slip);
      }
    }
  }
  if (tiles.empty()) {
    to.lse = sink;
    return;
  }
  sum += std::exp(sink - largest) * (slip.sink_without_offset ? 1.0 : std::exp2(slip.offset));
  for (double& element : to.output) element /= sum;
  to.lse = largest + std::log(sum) - slip.offset * std::log(2.0);
}

Fp8Result write_result(const Fp8Trial& trial, const Fp8Attend& attend, DType type, float scale) {
  const Fp8Shape& shape = trial.shape();
  const std::int64_t rows = trial.tokens() * shape.heads;
  Fp8Result result;
  result.output.assign(at_index(rows * shape.dim_v) * bytes_of(type), 0xFF);
  result.lse.assign(at_index(rows), 0.0F);
  const auto poison = static_cast<std::uint8_t>(0xFF);
  std::fill_n(reinterpret_cast<std::uint8_t*>(result.lse.data()), result.lse.size() * 4, poison);
  reference::AttentionProblem problem = trial.problem();
  for (std::int64_t b = 0; b < problem.num_sequences; ++b) {
    const std::int64_t first = problem.cu_seqlens_q[b];
    for (std::int64_t i = 0; i < shape.queries[at_index(b)] * shape.heads; ++i) {
      const AttentionRow row{first + i / shape.heads, i % shape.heads};
      const Fp8Row done = attend(row);
      for (std::size_t d = 0; d < done.output.size(); ++d) {
        const std::size_t index =
            at_index(row.token * shape.heads + row.head) * done.output.size() + d;
        double value = done.output[d];
        if (type == DType::kE4M3) value *= static_cast<double>(1.0F / scale);
        reference::store_element(type, result.output.data(), index, value);
      }
      result.lse[at_index(row.head * trial.tokens() + row.token)] = static_cast<float>(done.lse);
    }
  }
  result.written.type = type;
  result.written.output = result.output.data();
  result.written.token_stride = shape.heads * shape.dim_v;
  result.written.head_stride = shape.dim_v;
  result.written.lse = result.lse.data();
  result.written.lse_head_stride = trial.tokens();
  result.written.scale = scale;
  return result;
}

}  // namespace jit::test
