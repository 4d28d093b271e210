#include "kernels/reference/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/reference/attention_scores.hpp"
#include "kernels/reference/multiply.hpp"
#include "kernels/reference/parallel.hpp"
#include "kernels/reference/rounding.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kRowsAtOnce = AttentionScores::kRows;
constexpr std::size_t kKeysAtOnce = AttentionScores::kKeys;

double round_to_bf16(double value) { return round_to(kBF16Format, value); }

// One result for every row of a unit: weights [kRowsAtOnce, keys] times values.
struct Route {
  std::vector<double> weights{};
  std::vector<double> sums{};  // [kRowsAtOnce, head_dim_v]
  std::vector<double>* to = nullptr;
  bool magnitudes = false;  // of values
  bool shares = false;      // the weights of the exact route
};

// UnitWorker computes one unit after the other with memory of its own.
class UnitWorker {
 public:
  UnitWorker(const AttentionProblem& problem, const AttentionOptions& options,
             AttentionReference& to)
      : problem_(problem), options_(options), to_(to), scores_(problem, options.keys) {}

  void compute(const AttentionUnit& unit) {
    scores_.compute(unit, to_.rows);
    begin();
    for (std::size_t i = 0; i < unit.rows.size(); ++i) weigh(unit.rows[i], i);
    for (std::size_t first = 0; first < scores_.columns(); first += kKeysAtOnce) {
      add_values(first, std::min(kKeysAtOnce, scores_.columns() - first));
    }
    finish(unit);
  }

 private:
  std::size_t dim_v() const { return static_cast<std::size_t>(problem_.head_dim_v); }

  void begin() {
    stride_ = scores_.stride();
    squares_.assign(stride_, 0.0);
    tile_.assign(kKeysAtOnce * dim_v(), 0.0);
    exact_.to = &to_.output;
    magnitude_.to = &to_.magnitude;
    magnitude_.magnitudes = magnitude_.shares = true;
    floor_.to = &to_.floor;
    floor_.magnitudes = true;
    eager_.to = &to_.eager;
    fused_.to = &to_.fused;
    routes_ = {&exact_};
    if (options_.eager) routes_.push_back(&eager_);
    if (options_.fused) routes_.push_back(&fused_);
    routes_.push_back(&magnitude_);
    if (options_.floor) routes_.push_back(&floor_);
    for (Route* const route : routes_) {
      if (!route->shares) route->weights.assign(kRowsAtOnce * stride_, 0.0);
      route->sums.assign(kRowsAtOnce * dim_v(), 0.0);
    }
  }

  // The softmax of row `i` of the unit, once more for every route.
  void weigh(std::size_t row, std::size_t i) {
    const double* const scores = scores_.row(i);
    // Where no row sees a key there are no weights either.
    double* const weights = exact_.weights.data() + i * stride_;
    const std::size_t first = scores_.begin(i);
    const std::size_t end = scores_.end(i);
    to_.seen[row] = static_cast<std::int64_t>(scores_.seen(i));
    to_.score_size[row] = scores_.score_size(i);
    double highest = -kInfinity;
    for (std::size_t j = first; j < end; ++j) highest = std::max(highest, scores[j]);
    const double largest = std::max(highest, scores_.sink(i));
    double sum = scores_.sink(i) == -kInfinity ? 0.0 : std::exp(scores_.sink(i) - largest);
    for (std::size_t j = first; j < end; ++j) sum += weights[j] = std::exp(scores[j] - largest);
    to_.lse[row] = largest == -kInfinity ? -kInfinity : largest + std::log(sum);
    // Scores that are all NaN have no largest one.
    if (std::isnan(sum)) to_.lse[row] = sum;
    if (options_.fused) {
      double* const fused = fused_.weights.data() + i * stride_;
      for (std::size_t j = first; j < end; ++j) fused[j] = round_to_bf16(weights[j]) / sum;
    }
    for (std::size_t j = first; j < end; ++j) weights[j] /= sum;
    if (options_.floor) {
      double* const floor = floor_.weights.data() + i * stride_;
      std::fill(floor + first, floor + end, std::exp(highest - largest) / sum);
    }
    if (!options_.eager) return;
    double* const eager = eager_.weights.data() + i * stride_;
    weigh_eagerly(scores + first, eager + first, end - first);
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

  void add_values(std::size_t first, std::size_t count) {
    scores_.load_values(first, count, tile_.data());
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
    bool magnitudes = false;
    for (Route* const route : routes_) {
      if (route->magnitudes && !magnitudes) {
        for (std::size_t i = 0; i < count * dim_v(); ++i) tile_[i] = std::fabs(tile_[i]);
        magnitudes = true;
      }
      add_products(*route, route->shares ? exact_.weights : route->weights, first, count, finite);
    }
  }

  // Nothing may come of what a row does not see: 0 times infinity or NaN would.
  void add_products(Route& route, const std::vector<double>& weights, std::size_t first,
                    std::size_t count, bool finite) {
    if (finite) {
      multiply_add({scores_.padded_rows(), dim_v(), count, &weights[first], stride_, tile_.data(),
                    dim_v(), route.sums.data(), dim_v()});
      return;
    }
    for (std::size_t i = 0; i < scores_.rows(); ++i) {
      const std::size_t end = std::min(first + count, scores_.end(i));
      for (std::size_t j = std::max(first, scores_.begin(i)); j < end; ++j) {
        for (std::size_t d = 0; d < dim_v(); ++d) {
          route.sums[i * dim_v() + d] +=
              weights[i * stride_ + j] * tile_[(j - first) * dim_v() + d];
        }
      }
    }
  }

  void finish(const AttentionUnit& unit) {
    const double scale = scores_.value_scale();
    for (const Route* const route : routes_) {
      const double factor = route->magnitudes ? std::fabs(scale) : scale;
      for (std::size_t i = 0; i < unit.rows.size() * dim_v(); ++i) {
        (*route->to)[unit.rows[i / dim_v()] * dim_v() + i % dim_v()] = factor * route->sums[i];
      }
    }
    for (std::size_t i = 0; i < unit.rows.size(); ++i) {
      double sum = 0.0;
      double weights = 0.0;
      for (std::size_t j = scores_.begin(i); j < scores_.end(i); ++j) {
        const double weight = exact_.weights[i * stride_ + j];
        weights += weight * weight;
        sum += weight * weight * squares_[j];
      }
      to_.concentration[unit.rows[i]] = std::sqrt(weights);
      to_.spread[unit.rows[i]] = std::sqrt(sum) * std::fabs(scale);
      if (!options_.eager) continue;
      double* const eager = &to_.eager[unit.rows[i] * dim_v()];
      for (std::size_t d = 0; d < dim_v(); ++d) eager[d] = round_to_bf16(eager[d]);
    }
  }

  const AttentionProblem& problem_;
  const AttentionOptions& options_;
  AttentionReference& to_;
  AttentionScores scores_;
  std::size_t stride_ = 0;       // of rows of weights
  std::vector<double> tile_;     // of values
  std::vector<double> squares_;  // of values, per key
  Route exact_;
  Route magnitude_;
  Route floor_;
  Route eager_;
  Route fused_;
  std::vector<Route*> routes_;
};

}  // namespace

AttentionReference compute_attention(const AttentionProblem& problem,
                                     const AttentionOptions& options) {
  check_attention_problem(problem);
  AttentionReference to;
  to.head_dim_v = problem.head_dim_v;
  to.rows.assign(options.rows.begin(), options.rows.end());
  if (to.rows.empty()) to.rows = all_attention_rows(problem);
  const std::vector<AttentionUnit> units = attention_units(problem, to.rows);
  const std::size_t elements = to.rows.size() * static_cast<std::size_t>(problem.head_dim_v);
  to.output.resize(elements);
  to.magnitude.resize(elements);
  to.eager.resize(options.eager ? elements : 0);
  to.fused.resize(options.fused ? elements : 0);
  to.floor.resize(options.floor ? elements : 0);
  to.lse.resize(to.rows.size());
  to.spread.resize(to.rows.size());
  to.seen.resize(to.rows.size());
  to.score_size.resize(to.rows.size());
  to.concentration.resize(to.rows.size());

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
