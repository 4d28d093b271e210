#include "kernels/reference/attention_scores.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <tuple>

#include "jit/error.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/tensor_core.hpp"

namespace jit::inline v1::reference {
namespace {

float scale_of(const AttentionProblem& problem) {
  if (problem.softmax_scale != 0.0F) return problem.softmax_scale;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(problem.head_dim)));
}

double sum_of_squares(const double* values, std::size_t count, std::size_t stride) {
  double sum = 0.0;
  for (std::size_t i = 0; i < count; ++i) sum += values[i * stride] * values[i * stride];
  return sum;
}

}  // namespace

std::vector<AttentionRow> all_attention_rows(const AttentionProblem& problem) {
  std::vector<AttentionRow> rows;
  for (std::int64_t sequence = 0; sequence < problem.num_sequences; ++sequence) {
    const AttentionTokens tokens = tokens_of(problem, sequence);
    for (std::int64_t token = tokens.begin; token < tokens.end; ++token) {
      for (std::int64_t head = 0; head < problem.num_heads; ++head) rows.push_back({token, head});
    }
  }
  return rows;
}

std::vector<AttentionUnit> attention_units(const AttentionProblem& problem,
                                           std::span<const AttentionRow> rows) {
  struct Item {
    std::int64_t sequence = 0;
    std::int64_t kv_head = 0;
    std::size_t row = 0;
  };
  std::vector<Item> items;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t sequence = sequence_of(problem, rows[i].token);
    if (sequence < 0 || rows[i].head < 0 || rows[i].head >= problem.num_heads) {
      throw Error(ErrorCode::kInvalidArgument,
                  "compute attention: token " + std::to_string(rows[i].token) + ", head " +
                      std::to_string(rows[i].head) +
                      " is none of the problem's; name tokens of its sequences and its heads");
    }
    items.push_back({sequence, rows[i].head / (problem.num_heads / problem.num_kv_heads), i});
  }
  const auto key_of = [&](const Item& item) {
    return std::tie(item.sequence, item.kv_head, rows[item.row].token, rows[item.row].head);
  };
  std::sort(items.begin(), items.end(),
            [&](const Item& a, const Item& b) { return key_of(a) < key_of(b); });
  std::vector<AttentionUnit> units;
  for (const Item& item : items) {
    const bool joins = !units.empty() && units.back().sequence == item.sequence &&
                       units.back().kv_head == item.kv_head &&
                       units.back().rows.size() < AttentionScores::kRows;
    if (!joins) units.push_back({item.sequence, item.kv_head});
    units.back().rows.push_back(item.row);
  }
  return units;
}

void check_attention_problem(const AttentionProblem& problem) {
  format_of(problem.type);
  const bool columns = problem.head_dim_v % static_cast<std::int64_t>(kMultiplyColumns) == 0;
  const bool heads = problem.num_kv_heads > 0 && problem.num_heads % problem.num_kv_heads == 0;
  if (columns && heads && !problem.keys.empty()) return;
  throw Error(ErrorCode::kInvalidArgument,
              "compute attention: " + std::to_string(problem.num_heads) + " heads over " +
                  std::to_string(problem.num_kv_heads) + " of " +
                  std::to_string(problem.head_dim_v) + " values in " +
                  std::to_string(problem.keys.size()) +
                  " parts; pass a divisor, a multiple of 8 and at least one part");
}

AttentionScores::AttentionScores(const AttentionProblem& problem, AttentionKeyRange only,
                                 bool in_tensor_core)
    : problem_(problem), only_(only), in_tensor_core_(in_tensor_core) {}

void AttentionScores::compute(const AttentionUnit& unit, std::span<const AttentionRow> rows) {
  sequence_ = unit.sequence;
  kv_head_ = unit.kv_head;
  scale_ = static_cast<double>(scale_of(problem_)) *
           descale_of(problem_.q_descale, sequence_, kv_head_) *
           descale_of(problem_.k_descale, sequence_, kv_head_);
  value_scale_ = descale_of(problem_.v_descale, sequence_, kv_head_);
  AttentionSequenceKeys keys(problem_, sequence_, kv_head_);
  place(unit, rows, keys);
  multiply(keys);
  for (std::size_t i = 0; i < rows_; ++i) finish(i);
}

void AttentionScores::place(const AttentionUnit& unit, std::span<const AttentionRow> rows,
                            const AttentionSequenceKeys& keys) {
  rows_ = unit.rows.size();
  std::array<AttentionKeyRange, kRows> ranges{};
  std::int64_t first = std::numeric_limits<std::int64_t>::max();
  std::int64_t last = 0;
  const auto dim = static_cast<std::size_t>(problem_.head_dim);
  queries_.assign(kRows * dim, 0.0);
  for (std::size_t i = 0; i < rows_; ++i) {
    const AttentionRow& row = rows[unit.rows[i]];
    load_head(problem_.type, problem_.q, row, problem_.head_dim, &queries_[i * dim]);
    sinks_[i] =
        only_.begin == 0 ? sink_of(problem_, row.head) : -std::numeric_limits<double>::infinity();
    AttentionKeyRange& range = ranges[i] = keys.seen_by(row.token);
    range = {std::max(range.begin, only_.begin), std::min(range.end, only_.end)};
    if (range.count() == 0) continue;
    first = std::min(first, range.begin);
    last = std::max(last, range.end);
  }
  first_ = last == 0 ? 0 : first - first % static_cast<std::int64_t>(kKeys);
  columns_ = static_cast<std::size_t>(last - first_);
  stride_ = (columns_ + kKeys - 1) / kKeys * kKeys;
  begin_.fill(0);
  end_.fill(0);
  for (std::size_t i = 0; i < rows_; ++i) {
    if (ranges[i].count() == 0) continue;
    begin_[i] = static_cast<std::size_t>(ranges[i].begin - first_);
    end_[i] = static_cast<std::size_t>(ranges[i].end - first_);
  }
}

void AttentionScores::multiply(AttentionSequenceKeys& keys) {
  const auto dim = static_cast<std::size_t>(problem_.head_dim);
  const std::size_t step = in_tensor_core_ ? kTensorCoreDepth : dim;
  const auto add = in_tensor_core_ ? multiply_add_in_tensor_core : multiply_add;
  keys_.assign(dim * kKeys, 0.0);
  scores_.assign(kRows * stride_, 0.0);
  squares_.assign(stride_, 0.0);
  for (std::size_t column = 0; column < columns_; column += kKeys) {
    const std::size_t count = std::min(kKeys, columns_ - column);
    keys.load_transposed(first_ + static_cast<std::int64_t>(column),
                         static_cast<std::int64_t>(count), kKeys, keys_.data());
    for (std::size_t j = 0; j < count; ++j) {
      squares_[column + j] = sum_of_squares(&keys_[j], dim, kKeys);
    }
    for (std::size_t d = 0; d < dim; d += step) {
      add({padded_rows(), kKeys, std::min(step, dim - d), &queries_[d], dim, &keys_[d * kKeys],
           kKeys, &scores_[column], stride_});
    }
  }
}

void AttentionScores::finish(std::size_t i) {
  const auto cap = static_cast<double>(problem_.softcap);
  double* const scores = scores_.data() + i * stride_;
  double largest = 0.0;
  for (std::size_t j = begin_[i]; j < end_[i]; ++j) {
    scores[j] *= scale_;
    largest = std::max(largest, squares_[j]);
  }
  const auto dim = static_cast<std::size_t>(problem_.head_dim);
  score_sizes_[i] =
      std::fabs(scale_) * std::sqrt(largest * sum_of_squares(&queries_[i * dim], dim, 1));
  if (cap == 0.0) return;
  for (std::size_t j = begin_[i]; j < end_[i]; ++j) scores[j] = cap * std::tanh(scores[j] / cap);
}

void AttentionScores::load_values(std::size_t column, std::size_t count, double* to) const {
  const AttentionSequenceKeys keys(problem_, sequence_, kv_head_);
  keys.load_values(first_ + static_cast<std::int64_t>(column), static_cast<std::int64_t>(count),
                   to);
}

}  // namespace jit::inline v1::reference
