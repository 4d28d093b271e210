#include "kernels/reference/attention_emulator.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "jit/error.hpp"
#include "kernels/reference/attention_scores.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/parallel.hpp"
#include "kernels/reference/rounding.hpp"
#include "kernels/reference/tensor_core.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kOffset = 8.0;  // in powers of two
constexpr auto kStep = static_cast<std::int64_t>(kTensorCoreDepth);
constexpr double kLargestRms = 1.5e-2;
constexpr double kLargestRmsOfFew = 5e-2;
constexpr std::uint64_t kFewElements = 4096;
constexpr std::int64_t kManyKeys = 4096;
constexpr double kLargestError = 0.1;
constexpr std::size_t kRows = AttentionScores::kRows;

// The online softmax of a row.
struct Running {
  double largest = -kInfinity;
  double sum = 0.0;        // in units of 2^-8
  std::int64_t tiles = 0;  // whose products were not carried over
};

// Of the two parts of a row's sums one is the tensor cores'.
struct Sums {
  std::vector<double> accumulator;  // [kRows, head_dim_v]
  std::vector<double> carried;
};

// What becomes of a part of the keys.
struct Part {
  double lse = -kInfinity;
  std::int64_t seen = 0;
  std::vector<double> output{};
};

// UnitEmulator emulates one unit after the other, all keys of `only` as one part.
class UnitEmulator {
 public:
  UnitEmulator(const AttentionProblem& problem, const AttentionTiling& tiling,
               AttentionKeyRange only)
      : problem_(problem), tiling_(tiling), scores_(problem, only, tiling.truncates_scores) {}

  // Returns: a part for each row of the unit.
  std::vector<Part> emulate(const AttentionUnit& unit, std::span<const AttentionRow> rows) {
    scores_.compute(unit, rows);
    rows_ = unit.rows.size();
    running_.fill({});
    sums_.accumulator.assign(kRows * dim_v(), 0.0);
    sums_.carried.assign(kRows * dim_v(), 0.0);
    const std::int64_t end = scores_.first() + static_cast<std::int64_t>(scores_.columns());
    for (std::int64_t tile = (end + tiling_.block_n - 1) / tiling_.block_n - 1;
         tile >= scores_.first() / tiling_.block_n && scores_.columns() != 0; --tile) {
      emulate_tile(tile * tiling_.block_n);
    }
    std::vector<Part> parts;
    for (std::size_t i = 0; i < rows_; ++i) parts.push_back(finish(i));
    return parts;
  }

 private:
  std::size_t dim_v() const { return static_cast<std::size_t>(problem_.head_dim_v); }

  // The columns that row `i` sees from `first` on up to the key `end`.
  struct Columns {
    std::size_t begin = 0;
    std::size_t end = 0;
  };
  Columns columns_of(std::size_t i, std::int64_t first, std::int64_t end) const {
    const std::int64_t offset = scores_.first();
    const std::int64_t low = std::max<std::int64_t>(first - offset, 0);
    const std::int64_t high = std::max<std::int64_t>(end - offset, 0);
    return {std::max(static_cast<std::size_t>(low), scores_.begin(i)),
            std::min(static_cast<std::size_t>(high), scores_.end(i))};
  }

  void emulate_tile(std::int64_t key) {
    const std::int64_t end = key + tiling_.block_n;
    weights_.assign(kRows * static_cast<std::size_t>(tiling_.block_n), 0.0);
    for (std::size_t i = 0; i < rows_; ++i) {
      const Columns columns = columns_of(i, key, end);
      if (columns.begin < columns.end) weigh(i, columns, key);
    }
    for (std::int64_t step = key; step < end; step += kStep) add_products(key, step);
    for (std::size_t i = 0; i < rows_; ++i) carry(i);
  }

  void weigh(std::size_t i, const Columns& columns, std::int64_t key) {
    const double* const scores = scores_.row(i);
    Running& running = running_[i];
    const double before = running.largest;
    for (std::size_t j = columns.begin; j < columns.end; ++j) {
      running.largest = std::max(running.largest, scores[j]);
    }
    const double shrink = before == -kInfinity ? 1.0 : std::exp(before - running.largest);
    running.sum *= shrink;
    for (std::size_t d = i * dim_v(); d < (i + 1) * dim_v(); ++d) {
      sums_.accumulator[d] *= shrink;
      sums_.carried[d] *= shrink;
    }
    double* const weights = &weights_[i * static_cast<std::size_t>(tiling_.block_n)];
    for (std::size_t j = columns.begin; j < columns.end; ++j) {
      const double weight = std::exp(scores[j] - running.largest) * std::exp2(kOffset);
      running.sum += weight;
      const std::int64_t column = scores_.first() + static_cast<std::int64_t>(j) - key;
      weights[column] = round_to(kE4M3Format, weight, Overflow::kSaturate);
    }
    ++running.tiles;
  }

  // Of keys `step` to `step + 31` of the tile from `key` on, those that any row sees.
  void add_products(std::int64_t key, std::int64_t step) {
    const std::int64_t last = scores_.first() + static_cast<std::int64_t>(scores_.columns());
    const std::int64_t first = std::max(step, scores_.first());
    const std::int64_t end = std::min(step + kStep, last);
    if (first >= end) return;
    const auto count = static_cast<std::size_t>(end - first);
    values_.assign(kTensorCoreDepth * dim_v(), 0.0);
    scores_.load_values(static_cast<std::size_t>(first - scores_.first()), count, values_.data());
    const double* const weights = &weights_[static_cast<std::size_t>(first - key)];
    const auto block = static_cast<std::size_t>(tiling_.block_n);
    const bool finite = std::all_of(values_.begin(), values_.end(),
                                    [](double value) { return std::isfinite(value); });
    if (finite) {
      const auto add = tiling_.truncates ? multiply_add_in_tensor_core : multiply_add;
      add({scores_.padded_rows(), dim_v(), count, weights, block, values_.data(), dim_v(),
           sums_.accumulator.data(), dim_v()});
    } else {
      add_seen_products(first, end, weights);
    }
  }

  // 0 times the NaN of a key that a row does not see would reach it.
  void add_seen_products(std::int64_t first, std::int64_t end, const double* weights) {
    for (std::size_t i = 0; i < rows_; ++i) {
      const Columns columns = columns_of(i, first, end);
      for (std::size_t j = columns.begin; j < columns.end; ++j) {
        const std::size_t at = j - static_cast<std::size_t>(first - scores_.first());
        const double weight = weights[i * static_cast<std::size_t>(tiling_.block_n) + at];
        for (std::size_t d = 0; d < dim_v(); ++d) {
          sums_.accumulator[i * dim_v() + d] += weight * values_[at * dim_v() + d];
        }
      }
    }
  }

  void carry(std::size_t i) {
    Running& running = running_[i];
    if (tiling_.accumulation_interval == 0 || running.tiles < tiling_.accumulation_interval) return;
    running.tiles = 0;
    for (std::size_t d = i * dim_v(); d < (i + 1) * dim_v(); ++d) {
      sums_.carried[d] += sums_.accumulator[d];
      sums_.accumulator[d] = 0.0;
    }
  }

  // The sink has a weight like a key's, which may be the largest.
  Part finish(std::size_t i) const {
    const Running& running = running_[i];
    const double sink = scores_.sink(i);
    Part part;
    part.seen = static_cast<std::int64_t>(scores_.seen(i));
    part.output.assign(dim_v(), 0.0);
    if (running.largest == -kInfinity && running.sum == 0.0) {
      part.lse = sink;
      return part;
    }
    const double sum = running.sum * std::exp2(-kOffset);
    const double largest = std::max(running.largest, sink);
    const double with_sink = sum * std::exp(running.largest - largest) +
                             (sink == -kInfinity ? 0.0 : std::exp(sink - largest));
    part.lse = largest + std::log(with_sink);
    const double factor = scores_.value_scale() * std::exp(running.largest - largest) *
                          std::exp2(-kOffset) / with_sink;
    for (std::size_t d = 0; d < dim_v(); ++d) {
      const std::size_t at = i * dim_v() + d;
      part.output[d] = (sums_.carried[at] + sums_.accumulator[at]) * factor;
    }
    return part;
  }

  const AttentionProblem& problem_;
  const AttentionTiling& tiling_;
  AttentionScores scores_;
  std::size_t rows_ = 0;
  std::array<Running, kRows> running_{};
  Sums sums_;
  std::vector<double> weights_;  // [kRows, block_n], of a tile
  std::vector<double> values_;
};

double as_float(double value) { return static_cast<double>(static_cast<float>(value)); }

// Parts are fp32 in memory; those without keys are not read.
Part join(const std::vector<Part>& parts) {
  double largest = -kInfinity;
  for (const Part& part : parts) largest = std::max(largest, as_float(part.lse));
  Part joined;
  joined.output.assign(parts.front().output.size(), 0.0);
  if (largest == -kInfinity) return joined;
  double sum = 0.0;
  for (const Part& part : parts) {
    joined.seen += part.seen;
    if (part.lse == -kInfinity) continue;
    const double weight = std::exp(as_float(part.lse) - largest);
    sum += weight;
    for (std::size_t d = 0; d < joined.output.size(); ++d) {
      joined.output[d] += weight * as_float(part.output[d]);
    }
  }
  for (double& value : joined.output) value /= sum;
  joined.lse = largest + std::log(sum);
  return joined;
}

// What a value may gain by its last rounding.
double half_unit_of(DType type, double value) {
  return type == DType::kF32 ? 0.0 : unit_at(format_of(type), value) / 2;
}

struct AgreementSums {
  double errors = 0.0;  // squared, as values
  double squares = 0.0;
  double largest = 0.0;
};

AgreementSums compare_row(std::span<const double> expected, const AttentionRow& row,
                          const AttentionOutput& output) {
  AgreementSums sums;
  const std::int64_t first = row.token * output.token_stride + row.head * output.head_stride;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto at = static_cast<std::uint64_t>(first) + i;
    const double got = load_element(output.type, output.output, at);
    if (std::isnan(got) && std::isnan(expected[i])) continue;
    const double error = std::fabs(got - expected[i]);
    sums.errors += error * error;
    sums.squares += expected[i] * expected[i];
    sums.largest = std::max(sums.largest, error - half_unit_of(output.type, expected[i]));
  }
  return sums;
}

void check_tiling(const AttentionTiling& tiling) {
  const bool tiles = tiling.block_n > 0 && tiling.block_n % kStep == 0;
  const bool splits = tiling.num_splits == 1 || (tiling.num_splits > 1 && tiling.split_tiles > 0);
  if (tiles && splits && tiling.accumulation_interval >= 0) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("emulate attention: tiles of {} keys, {} splits of {} tiles, an interval "
                          "of {}; pass a multiple of 32, parts of at least one tile and 0 or more",
                          tiling.block_n, tiling.num_splits, tiling.split_tiles,
                          tiling.accumulation_interval));
}

std::vector<AttentionKeyRange> parts_of(const AttentionTiling& tiling,
                                        const AttentionKeyRange& all) {
  if (tiling.num_splits == 1) return {all};
  std::vector<AttentionKeyRange> parts;
  const std::int64_t keys = tiling.split_tiles * tiling.block_n;
  for (std::int64_t part = 0; part < tiling.num_splits; ++part) {
    const std::int64_t end = part + 1 == tiling.num_splits ? all.end : (part + 1) * keys;
    parts.push_back({std::max(part * keys, all.begin), std::min(end, all.end)});
  }
  return parts;
}

}  // namespace

AttentionEmulation emulate_attention(const AttentionProblem& problem, const AttentionTiling& tiling,
                                     const AttentionOptions& options) {
  check_attention_problem(problem);
  check_tiling(tiling);
  AttentionEmulation to;
  to.head_dim_v = problem.head_dim_v;
  to.rows.assign(options.rows.begin(), options.rows.end());
  if (to.rows.empty()) to.rows = all_attention_rows(problem);
  const auto elements = static_cast<std::size_t>(problem.head_dim_v);
  to.output.resize(to.rows.size() * elements);
  to.lse.resize(to.rows.size());
  to.seen.resize(to.rows.size());
  const std::vector<AttentionUnit> units = attention_units(problem, to.rows);
  const std::vector<AttentionKeyRange> ranges = parts_of(tiling, options.keys);
  const auto count = static_cast<std::int64_t>(units.size());
  parallel_for(count, options.threads, [&](std::int64_t index, unsigned) {
    const AttentionUnit& unit = units[static_cast<std::size_t>(count - 1 - index)];
    std::vector<std::vector<Part>> parts(unit.rows.size());
    for (const AttentionKeyRange& range : ranges) {
      std::vector<Part> found = UnitEmulator(problem, tiling, range).emulate(unit, to.rows);
      for (std::size_t i = 0; i < found.size(); ++i) parts[i].push_back(std::move(found[i]));
    }
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const Part row = parts[i].size() == 1 ? parts[i].front() : join(parts[i]);
      to.lse[unit.rows[i]] = row.lse;
      to.seen[unit.rows[i]] = row.seen;
      std::copy_n(row.output.data(), elements, &to.output[unit.rows[i] * elements]);
    }
  });
  return to;
}

std::string AttentionAgreement::text() const {
  return fmt::format("{} elements, rms {:.3g}, largest error {:.3g} of the values' rms{}{}",
                     elements, rms, largest, first_failure.empty() ? "" : "; ", first_failure);
}

AttentionAgreement compare_with_emulation(const AttentionEmulation& emulation,
                                          const AttentionOutput& output) {
  if (output.type == DType::kE4M3) {
    throw Error(ErrorCode::kInvalidArgument,
                "compare with an emulation: the output is e4m3, whose steps are larger than what "
                "an emulation tells apart; pass what the kernel writes as bf16 or f32");
  }
  AttentionAgreement found;
  AgreementSums all;
  const auto elements = static_cast<std::size_t>(emulation.head_dim_v);
  for (std::size_t row = 0; row < emulation.rows.size(); ++row) {
    const std::span expected(&emulation.output[row * elements], elements);
    const AgreementSums sums = compare_row(expected, emulation.rows[row], output);
    found.elements += elements;
    all.errors += sums.errors;
    all.squares += sums.squares;
    if (emulation.seen[row] < kManyKeys || sums.largest == 0.0) continue;
    const double rms = std::sqrt(sums.squares / static_cast<double>(elements));
    found.largest = std::max(found.largest, sums.largest / rms);
  }
  if (all.errors == 0.0) return found;
  found.rms = std::sqrt(all.errors / all.squares);
  const double limit = found.elements < kFewElements ? kLargestRmsOfFew : kLargestRms;
  if (found.rms <= limit && found.largest <= kLargestError) return found;
  found.first_failure = fmt::format("at most {:.3g} and {:.3g} are right", limit, kLargestError);
  return found;
}

double relative_rms(std::span<const double> values, std::span<const double> expected) {
  double errors = 0.0;
  double squares = 0.0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    errors += (values[i] - expected[i]) * (values[i] - expected[i]);
    squares += expected[i] * expected[i];
  }
  return errors == 0.0 ? 0.0 : std::sqrt(errors / squares);
}

}  // namespace jit::inline v1::reference
