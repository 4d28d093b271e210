#include "kernels/reference/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "jit/error.hpp"
#include "kernels/reference/attention_keys.hpp"
#include "kernels/reference/multiply.hpp"
#include "kernels/reference/parallel.hpp"
#include "kernels/reference/rounding.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kRowsAtOnce = 16;
constexpr std::size_t kKeysAtOnce = 64;

double round_to_bf16(double value) { return round_to(kBF16Format, value); }

// Rows of one sequence and head, which are computed together.
struct Unit {
  std::int64_t sequence = 0;
  std::int64_t head = 0;
  std::vector<std::size_t> rows{};  // of the reference
};

// One result for every row of a unit: weights [kRowsAtOnce, keys] times values.
struct Route {
  std::vector<double> weights{};
  std::vector<double> sums{};  // [kRowsAtOnce, head_dim_v]
  std::vector<double>* to = nullptr;
  bool magnitudes = false;  // of values
};

float scale_of(const AttentionProblem& problem) {
  if (problem.softmax_scale != 0.0F) return problem.softmax_scale;
  return static_cast<float>(1.0 / std::sqrt(static_cast<double>(problem.head_dim)));
}

// UnitWorker computes one unit after the other with memory of its own.
class UnitWorker {
 public:
  UnitWorker(const AttentionProblem& problem, const AttentionOptions& options,
             AttentionReference& to)
      : problem_(problem),
        options_(options),
        to_(to),
        scale_(static_cast<double>(scale_of(problem))) {}

  void compute(const Unit& unit) {
    const std::int64_t group = problem_.num_heads / problem_.num_kv_heads;
    AttentionSequenceKeys keys(problem_, unit.sequence, unit.head / group);
    begin(unit, keys);
    score(keys);
    for (std::size_t i = 0; i < unit.rows.size(); ++i) weigh(unit.rows[i], i);
    for (std::size_t first = 0; first < longest_; first += kKeysAtOnce) {
      add_values(keys, first, std::min(kKeysAtOnce, longest_ - first));
    }
    finish(unit);
  }

 private:
  std::size_t dim() const { return static_cast<std::size_t>(problem_.head_dim); }
  std::size_t dim_v() const { return static_cast<std::size_t>(problem_.head_dim_v); }

  void begin(const Unit& unit, const AttentionSequenceKeys& keys) {
    rows_ = unit.rows.size();
    longest_ = 0;
    for (std::size_t i = 0; i < rows_; ++i) {
      seen_[i] = static_cast<std::size_t>(keys.seen_by(to_.rows[unit.rows[i]].token));
      longest_ = std::max(longest_, seen_[i]);
    }
    stride_ = (longest_ + kKeysAtOnce - 1) / kKeysAtOnce * kKeysAtOnce;
    queries_.assign(kRowsAtOnce * dim(), 0.0);
    for (std::size_t i = 0; i < rows_; ++i) {
      load_head(problem_.type, problem_.q, to_.rows[unit.rows[i]], problem_.head_dim,
                &queries_[i * dim()]);
    }
    scores_.assign(kRowsAtOnce * stride_, 0.0);
    squares_.assign(stride_, 0.0);
    begin_routes();
  }

  void begin_routes() {
    exact_.to = &to_.output;
    magnitude_.to = &to_.magnitude;
    magnitude_.magnitudes = true;
    routes_ = {&exact_, &magnitude_};
    if (options_.eager) {
      eager_.to = &to_.eager;
      routes_.push_back(&eager_);
    }
    if (options_.fused) {
      fused_.to = &to_.fused;
      routes_.push_back(&fused_);
    }
    for (Route* const route : routes_) {
      if (!route->magnitudes) route->weights.assign(kRowsAtOnce * stride_, 0.0);
      route->sums.assign(kRowsAtOnce * dim_v(), 0.0);
    }
  }

  void score(AttentionSequenceKeys& keys) {
    tile_.assign(std::max(dim(), kKeysAtOnce) * std::max(dim_v(), kKeysAtOnce), 0.0);
    for (std::size_t first = 0; first < longest_; first += kKeysAtOnce) {
      const std::size_t count = std::min(kKeysAtOnce, longest_ - first);
      keys.load_transposed(static_cast<std::int64_t>(first), static_cast<std::int64_t>(count),
                           kKeysAtOnce, tile_.data());
      multiply_add({padded_rows(), kKeysAtOnce, dim(), queries_.data(), dim(), tile_.data(),
                    kKeysAtOnce, &scores_[first], stride_});
    }
  }

  std::size_t padded_rows() const {
    return (rows_ + kMultiplyRows - 1) / kMultiplyRows * kMultiplyRows;
  }

  // The softmax of row `i` of the unit, once more for every route.
  void weigh(std::size_t row, std::size_t i) {
    // Where no row sees a key there are none of either.
    double* const scores = scores_.data() + i * stride_;
    double* const weights = exact_.weights.data() + i * stride_;
    to_.seen[row] = static_cast<std::int64_t>(seen_[i]);
    double largest = -kInfinity;
    for (std::size_t j = 0; j < seen_[i]; ++j) {
      scores[j] *= scale_;
      largest = std::max(largest, scores[j]);
    }
    double sum = 0.0;
    for (std::size_t j = 0; j < seen_[i]; ++j) sum += weights[j] = std::exp(scores[j] - largest);
    to_.lse[row] = seen_[i] == 0 ? -kInfinity : largest + std::log(sum);
    if (options_.fused) {
      double* const fused = fused_.weights.data() + i * stride_;
      for (std::size_t j = 0; j < seen_[i]; ++j) fused[j] = round_to_bf16(weights[j]) / sum;
    }
    for (std::size_t j = 0; j < seen_[i]; ++j) weights[j] /= sum;
    if (options_.eager) weigh_eagerly(scores, eager_.weights.data() + i * stride_, seen_[i]);
  }

  static void weigh_eagerly(const double* scores, double* weights, std::size_t count) {
    double largest = -kInfinity;
    for (std::size_t j = 0; j < count; ++j) largest = std::max(largest, round_to_bf16(scores[j]));
    double sum = 0.0;
    for (std::size_t j = 0; j < count; ++j) {
      sum += weights[j] = std::exp(round_to_bf16(scores[j]) - largest);
    }
    for (std::size_t j = 0; j < count; ++j) weights[j] = round_to_bf16(weights[j] / sum);
  }

  void add_values(const AttentionSequenceKeys& keys, std::size_t first, std::size_t count) {
    keys.load_values(static_cast<std::int64_t>(first), static_cast<std::int64_t>(count),
                     tile_.data());
    bool finite = true;
    for (std::size_t j = 0; j < count; ++j) {
      double sum = 0.0;
      for (std::size_t d = 0; d < dim_v(); ++d) {
        const double value = tile_[j * dim_v() + d];
        sum += value * value;
      }
      squares_[first + j] = sum / static_cast<double>(dim_v());
      finite = finite && std::isfinite(sum);
    }
    for (Route* const route : routes_) {
      if (route->magnitudes) continue;
      add_products(*route, route->weights, first, count, finite);
    }
    for (std::size_t i = 0; i < count * dim_v(); ++i) tile_[i] = std::fabs(tile_[i]);
    add_products(magnitude_, exact_.weights, first, count, finite);
  }

  // Nothing may come of what a row does not see: 0 times infinity or NaN would.
  void add_products(Route& route, const std::vector<double>& weights, std::size_t first,
                    std::size_t count, bool finite) {
    if (finite) {
      multiply_add({padded_rows(), dim_v(), count, &weights[first], stride_, tile_.data(), dim_v(),
                    route.sums.data(), dim_v()});
      return;
    }
    for (std::size_t i = 0; i < rows_; ++i) {
      for (std::size_t j = first; j < std::min(first + count, seen_[i]); ++j) {
        for (std::size_t d = 0; d < dim_v(); ++d) {
          route.sums[i * dim_v() + d] +=
              weights[i * stride_ + j] * tile_[(j - first) * dim_v() + d];
        }
      }
    }
  }

  void finish(const Unit& unit) {
    for (const Route* const route : routes_) {
      for (std::size_t i = 0; i < rows_; ++i) {
        std::copy_n(&route->sums[i * dim_v()], dim_v(), &(*route->to)[unit.rows[i] * dim_v()]);
      }
    }
    for (std::size_t i = 0; i < rows_; ++i) {
      double sum = 0.0;
      for (std::size_t j = 0; j < seen_[i]; ++j) {
        const double weight = exact_.weights[i * stride_ + j];
        sum += weight * weight * squares_[j];
      }
      to_.spread[unit.rows[i]] = std::sqrt(sum);
      if (!options_.eager) continue;
      double* const eager = &to_.eager[unit.rows[i] * dim_v()];
      for (std::size_t d = 0; d < dim_v(); ++d) eager[d] = round_to_bf16(eager[d]);
    }
  }

  const AttentionProblem& problem_;
  const AttentionOptions& options_;
  AttentionReference& to_;
  double scale_;
  std::size_t rows_ = 0;
  std::size_t longest_ = 0;  // keys that any of the rows sees
  std::size_t stride_ = 0;   // of rows of scores and weights
  std::size_t seen_[kRowsAtOnce] = {};
  std::vector<double> queries_;
  std::vector<double> tile_;     // of keys, then of values
  std::vector<double> scores_;   // [kRowsAtOnce, stride]
  std::vector<double> squares_;  // of values, per key
  Route exact_;
  Route magnitude_;  // with the weights of exact_
  Route eager_;
  Route fused_;
  std::vector<Route*> routes_;
};

std::vector<AttentionRow> all_rows(const AttentionProblem& problem) {
  std::vector<AttentionRow> rows;
  const std::int64_t end = problem.cu_seqlens_q[problem.num_sequences];
  for (std::int64_t token = problem.cu_seqlens_q[0]; token < end; ++token) {
    for (std::int64_t head = 0; head < problem.num_heads; ++head) rows.push_back({token, head});
  }
  return rows;
}

std::vector<Unit> units_of(const AttentionProblem& problem, const std::vector<AttentionRow>& rows) {
  struct Item {
    std::int64_t sequence = 0;
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
    items.push_back({sequence, i});
  }
  std::sort(items.begin(), items.end(), [&](const Item& a, const Item& b) {
    const AttentionRow& left = rows[a.row];
    const AttentionRow& right = rows[b.row];
    if (a.sequence != b.sequence) return a.sequence < b.sequence;
    return left.head != right.head ? left.head < right.head : left.token < right.token;
  });
  std::vector<Unit> units;
  for (const Item& item : items) {
    const std::int64_t head = rows[item.row].head;
    const bool joins = !units.empty() && units.back().sequence == item.sequence &&
                       units.back().head == head && units.back().rows.size() < kRowsAtOnce;
    if (!joins) units.push_back({item.sequence, head});
    units.back().rows.push_back(item.row);
  }
  return units;
}

void check_problem(const AttentionProblem& problem) {
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

}  // namespace

AttentionReference compute_attention(const AttentionProblem& problem,
                                     const AttentionOptions& options) {
  check_problem(problem);
  AttentionReference to;
  to.head_dim_v = problem.head_dim_v;
  to.rows.assign(options.rows.begin(), options.rows.end());
  if (to.rows.empty()) to.rows = all_rows(problem);
  const std::vector<Unit> units = units_of(problem, to.rows);
  const std::size_t elements = to.rows.size() * static_cast<std::size_t>(problem.head_dim_v);
  to.output.resize(elements);
  to.magnitude.resize(elements);
  to.eager.resize(options.eager ? elements : 0);
  to.fused.resize(options.fused ? elements : 0);
  to.lse.resize(to.rows.size());
  to.spread.resize(to.rows.size());
  to.seen.resize(to.rows.size());

  const auto count = static_cast<std::int64_t>(units.size());
  std::vector<UnitWorker> workers(workers_for(count, options.threads),
                                  UnitWorker(problem, options, to));
  // The last tokens of a sequence come first: no worker is left alone with the longest rows.
  parallel_for(count, options.threads, [&](std::int64_t i, unsigned worker) {
    workers[worker].compute(units[static_cast<std::size_t>(count - 1 - i)]);
  });
  return to;
}

}  // namespace jit::inline v1::reference
