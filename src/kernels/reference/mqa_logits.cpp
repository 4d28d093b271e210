#include "kernels/reference/mqa_logits.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <thread>
#include <vector>

#include "kernels/reference/element.hpp"
#include "kernels/reference/mqa_scores.hpp"

namespace jit::inline v1::reference {
namespace {

// Results below the smallest normal fp32 may count as 0.
constexpr double kSmallestNormal = 0x1p-126;
constexpr std::uint64_t kFewScores = 256;
constexpr std::size_t kKeysAtOnce = 256;

// Row is one query token's row of logits: columns [begin, end) hold scores, others below width do
// not, and those up to the next row belong to nobody.
struct Row {
  DType type = DType::kF32;
  const std::byte* logits = nullptr;
  std::int64_t index = 0;
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t width = 0;
  std::int64_t stride = 0;  // up to the next row; the width in the last
  bool clean = false;
  std::byte poison{};
};

struct Sums {
  double errors = 0.0;   // (x - y)^2
  double squares = 0.0;  // x^2 + y^2
  std::uint64_t count = 0;

  void add(const Sums& other) {
    errors += other.errors;
    squares += other.squares;
    count += other.count;
  }
  // The sum of a few scores may cancel: they are judged one by one alone.
  double difference() const { return count < kFewScores || errors == 0.0 ? 0.0 : errors / squares; }
};

// Half of a unit in the last place of bf16 at |value|.
double bf16_rounding(double value) {
  return value == 0.0 ? 0.0 : std::ldexp(1.0, std::ilogb(value) - 8);
}

// RowJudge compares one row, piece by piece.
class RowJudge {
 public:
  RowJudge(const Row& row, MqaCheck& check) : row_(row), check_(check) {}

  // Scores of columns from `first` on; scales of their keys, in the units of the scores.
  void compare(std::int64_t first, std::span<const MqaScore> scores, const void* scales) {
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const double scale = load_element(DType::kF32, scales, i);
      compare_one(first + static_cast<std::int64_t>(i), scores[i], scale);
    }
  }
  void check_written() {
    for (std::int64_t column = row_.begin; column < row_.end; ++column) {
      if (is_poison(column)) note(column, "was not written");
    }
  }
  void check_others() {
    check_masked(0, row_.begin);
    check_masked(row_.end, row_.width);
    check_untouched(row_.width, row_.stride);
  }
  Sums finish() {
    ++check_.rows;
    check_.worst_row_difference = std::max(check_.worst_row_difference, sums_.difference());
    return sums_;
  }

 private:
  std::size_t element_bytes() const { return bytes_of(row_.type); }
  const std::byte* at(std::int64_t column) const {
    return row_.logits + static_cast<std::size_t>(column) * element_bytes();
  }
  bool is_poison(std::int64_t column) const {
    const std::byte* const bytes = at(column);
    return std::all_of(bytes, bytes + element_bytes(),
                       [&](std::byte byte) { return byte == row_.poison; });
  }
  // As load_element, for the hundreds of millions of positions of a large batch.
  double load(std::int64_t column) const {
    std::uint32_t bits = 0;
    std::memcpy(&bits, at(column), element_bytes());
    if (row_.type == DType::kBF16) bits <<= 16;
    return static_cast<double>(std::bit_cast<float>(bits));
  }
  void note(std::int64_t column, const std::string& what) {
    ++check_.wrong;
    if (!check_.first_failure.empty()) return;
    check_.first_failure = fmt::format("row {}, position {}: {}", row_.index, column, what);
  }

  // fp32's error, and what rounding a value that is off by it to bf16 adds.
  double bound_of(const MqaScore& score) const {
    const double error = kMqaErrorBound * score.magnitude + kSmallestNormal;
    if (row_.type == DType::kF32) return error;
    return error + bf16_rounding(std::fabs(score.value) + error);
  }

  void compare_one(std::int64_t column, const MqaScore& score, double scale) {
    ++check_.scores;
    const double got = load(column);
    if (std::isnan(score.value)) {
      if (!std::isnan(got)) note(column, fmt::format("is {}, expected NaN", got));
      else if (is_poison(column)) note(column, "was not written");
      return;
    }
    const double error = std::fabs(got - score.value);
    const double bound = bound_of(score);
    if (!(error <= bound)) {
      note(column, is_poison(column)
                       ? "was not written"
                       : fmt::format("is {}, expected {} +- {}", got, score.value, bound));
      return;
    }
    // Nothing is left to compare of a scale of 0 or of results that fp32 cannot hold.
    if (score.magnitude < 1e6 * kSmallestNormal) return;
    const double rounding = row_.type == DType::kF32 ? 0.0 : bf16_rounding(got);
    check_.worst_error =
        std::max(check_.worst_error, std::max(0.0, error - rounding) / score.magnitude);
    const double x = got / scale;
    const double y = score.value / scale;
    sums_.errors += (x - y) * (x - y);
    sums_.squares += x * x + y * y;
    ++sums_.count;
  }

  void check_masked(std::int64_t begin, std::int64_t end) {
    if (!row_.clean) return check_untouched(begin, end);
    for (std::int64_t column = begin; column < end; ++column) {
      if (load(column) == -std::numeric_limits<double>::infinity()) continue;
      note(column, fmt::format("is masked and {}, expected -inf", load(column)));
    }
  }
  void check_untouched(std::int64_t begin, std::int64_t end) {
    if (begin >= end) return;
    const std::byte* const first = at(begin);
    const std::byte* const last = at(end);
    // One comparison of memory with itself, shifted by a byte: the usual case is quick.
    const auto length = static_cast<std::size_t>(last - first);
    if (*first == row_.poison && std::memcmp(first, first + 1, length - 1) == 0) return;
    for (std::int64_t column = begin; column < end; ++column) {
      if (!is_poison(column)) note(column, "was written");
    }
  }

  Row row_;
  MqaCheck& check_;
  Sums sums_;
};

void add(MqaCheck& check, const MqaCheck& part) {
  check.rows += part.rows;
  check.scores += part.scores;
  check.wrong += part.wrong;
  check.worst_row_difference = std::max(check.worst_row_difference, part.worst_row_difference);
  check.worst_error = std::max(check.worst_error, part.worst_error);
  if (check.first_failure.empty()) check.first_failure = part.first_failure;
}

// Part of the work of one thread, and what all its rows add up to.
struct Part {
  MqaCheck check;
  Sums sums;
};

std::vector<bool> sampled(std::span<const std::int64_t> sample, std::int64_t count) {
  std::vector<bool> chosen(static_cast<std::size_t>(count), sample.empty());
  for (const std::int64_t index : sample) chosen.at(static_cast<std::size_t>(index)) = true;
  return chosen;
}

// Runs `item(index, is_sampled, part)` for all of them, on threads.
MqaCheck check_all(std::int64_t count, const MqaCheckOptions& options,
                   const std::function<void(std::int64_t, bool, Part&)>& item) {
  const std::vector<bool> chosen = sampled(options.sample, count);
  const unsigned wanted =
      options.threads != 0 ? options.threads : std::max(1U, std::thread::hardware_concurrency());
  std::vector<Part> parts(
      static_cast<std::size_t>(std::clamp<std::int64_t>(count, 1, std::int64_t{wanted})));
  std::atomic<std::int64_t> next{0};
  const auto work = [&](Part& part) {
    for (std::int64_t i = next++; i < count; i = next++) {
      item(i, chosen[static_cast<std::size_t>(i)], part);
    }
  };
  std::vector<std::thread> threads;
  for (std::size_t i = 1; i < parts.size(); ++i) threads.emplace_back(work, std::ref(parts[i]));
  work(parts[0]);
  for (std::thread& thread : threads) thread.join();
  Part all;
  for (const Part& part : parts) {
    add(all.check, part.check);
    all.sums.add(part.sums);
  }
  all.check.difference = all.sums.difference();
  return all.check;
}

// ---- Paged ----

const std::byte* block_of(const PagedMqaProblem& problem, std::int64_t request,
                          std::int64_t position) {
  const std::int64_t entry = request * problem.block_table_stride + position / problem.block_kv;
  return static_cast<const std::byte*>(problem.kv_cache) +
         problem.block_table[entry] * problem.block_stride;
}

std::vector<Row> rows_of(const PagedMqaProblem& problem, std::int64_t request, const void* logits,
                         std::byte poison) {
  std::vector<Row> rows;
  for (std::int64_t token = 0; token < problem.next_n; ++token) {
    Row row;
    row.index = request * problem.next_n + token;
    row.type = problem.logits_type;
    row.logits = static_cast<const std::byte*>(logits) +
                 row.index * problem.logits_stride *
                     static_cast<std::int64_t>(bytes_of(problem.logits_type));
    row.end = std::clamp<std::int64_t>(problem.context_lens[row.index], 0, problem.max_context_len);
    row.width = problem.max_context_len;
    const bool last = row.index + 1 == problem.batch * problem.next_n;
    row.stride = last ? row.width : problem.logits_stride;
    row.clean = problem.clean_logits;
    row.poison = poison;
    rows.push_back(row);
  }
  return rows;
}

MqaScorer scorer_of(const PagedMqaProblem& problem, std::int64_t request) {
  const std::int64_t heads = problem.next_n * problem.num_heads;
  const auto* const query = static_cast<const std::byte*>(problem.query);
  return MqaScorer({problem.next_n, problem.num_heads, problem.head_dim,
                    query + request * heads * problem.head_dim, problem.weights + request * heads});
}

void compare_request(const PagedMqaProblem& problem, std::int64_t request,
                     const std::vector<Row>& rows, std::vector<RowJudge>& judges) {
  std::int64_t longest = 0;
  for (const Row& row : rows) longest = std::max(longest, row.end);
  if (longest == 0) return;
  const MqaScorer scorer = scorer_of(problem, request);
  std::vector<MqaScore> scores(static_cast<std::size_t>(problem.next_n * problem.block_kv));
  for (std::int64_t first = 0; first < longest; first += problem.block_kv) {
    const std::byte* const block = block_of(problem, request, first);
    const std::byte* const scales = block + problem.block_kv * problem.head_dim;
    const std::int64_t count = std::min(problem.block_kv, longest - first);
    scorer.score(block, scales, static_cast<std::size_t>(count), scores.data());
    for (std::size_t token = 0; token < rows.size(); ++token) {
      const std::int64_t seen = std::clamp<std::int64_t>(rows[token].end - first, 0, count);
      const MqaScore* const from = scores.data() + token * static_cast<std::size_t>(count);
      judges[token].compare(first, {from, static_cast<std::size_t>(seen)}, scales);
    }
  }
}

// ---- Not paged ----

struct KeyRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

KeyRange range_of(const MqaProblem& problem, std::int64_t token) {
  const std::int64_t begin = std::clamp<std::int64_t>(problem.starts[token], 0, problem.num_keys);
  const std::int64_t end = std::clamp<std::int64_t>(problem.ends[token], 0, problem.num_keys);
  return {begin, std::max(begin, end)};
}

// Where the column of key 0 would be.
std::int64_t shift_of(const MqaProblem& problem, const KeyRange& range) {
  return problem.compressed_logits ? -range.begin : 0;
}

Row row_of(const MqaProblem& problem, std::int64_t token, const void* logits, std::byte poison) {
  const KeyRange range = range_of(problem, token);
  const std::int64_t shift = shift_of(problem, range);
  Row row;
  row.index = token;
  row.type = problem.logits_type;
  row.logits =
      static_cast<const std::byte*>(logits) +
      token * problem.logits_stride * static_cast<std::int64_t>(bytes_of(problem.logits_type));
  row.width = problem.logits_width;
  row.begin = std::min(range.begin + shift, row.width);
  row.end = std::min(range.end + shift, row.width);
  row.stride = token + 1 == problem.num_tokens ? row.width : problem.logits_stride;
  row.clean = problem.clean_logits;
  row.poison = poison;
  return row;
}

void compare_token(const MqaProblem& problem, const Row& row, RowJudge& judge) {
  const std::int64_t heads = problem.num_heads;
  const auto* const query = static_cast<const std::byte*>(problem.query);
  const auto* const keys = static_cast<const std::byte*>(problem.keys);
  const MqaScorer scorer({1, heads, problem.head_dim, query + row.index * heads * problem.head_dim,
                          problem.weights + row.index * heads});
  const std::int64_t shift = shift_of(problem, range_of(problem, row.index));
  std::vector<MqaScore> scores(kKeysAtOnce);
  for (std::int64_t column = row.begin; column < row.end;) {
    const std::size_t count = std::min(kKeysAtOnce, static_cast<std::size_t>(row.end - column));
    const std::int64_t key = column - shift;
    const float* const scales = problem.key_scales + key;
    scorer.score(keys + key * problem.head_dim, scales, count, scores.data());
    judge.compare(column, {scores.data(), count}, scales);
    column += static_cast<std::int64_t>(count);
  }
}

std::size_t bytes_of_rows(std::int64_t rows, std::int64_t stride, std::int64_t width, DType type) {
  if (rows == 0) return 0;
  return static_cast<std::size_t>((rows - 1) * stride + width) * bytes_of(type);
}

}  // namespace

bool MqaCheck::passed(DType logits_type) const {
  const bool full = logits_type == DType::kF32;
  return wrong == 0 && difference <= (full ? 1e-7 : 3e-6) &&
         worst_row_difference <= (full ? 1e-6 : 4e-6);
}

std::string MqaCheck::text() const {
  return fmt::format(
      "{} rows, {} scores, {} wrong; difference {:.2g}, of a row {:.2g}; error {:.2g}{}{}", rows,
      scores, wrong, difference, worst_row_difference, worst_error,
      first_failure.empty() ? "" : "; ", first_failure);
}

MqaCheck check_paged_mqa(const PagedMqaProblem& problem, const void* logits,
                         const MqaCheckOptions& options) {
  const auto judge_request = [&](std::int64_t request, bool is_sampled, Part& part) {
    const std::vector<Row> rows = rows_of(problem, request, logits, options.poison);
    std::vector<RowJudge> judges;
    for (const Row& row : rows) judges.emplace_back(row, part.check);
    for (RowJudge& judge : judges) judge.check_others();
    if (!is_sampled) {
      for (RowJudge& judge : judges) judge.check_written();
      return;
    }
    compare_request(problem, request, rows, judges);
    for (RowJudge& judge : judges) part.sums.add(judge.finish());
  };
  return check_all(problem.batch, options, judge_request);
}

MqaCheck check_mqa(const MqaProblem& problem, const void* logits, const MqaCheckOptions& options) {
  const auto judge_token = [&](std::int64_t token, bool is_sampled, Part& part) {
    const Row row = row_of(problem, token, logits, options.poison);
    RowJudge judge(row, part.check);
    judge.check_others();
    if (!is_sampled) return judge.check_written();
    compare_token(problem, row, judge);
    part.sums.add(judge.finish());
  };
  return check_all(problem.num_tokens, options, judge_token);
}

std::size_t logits_bytes_of(const PagedMqaProblem& problem) {
  return bytes_of_rows(problem.batch * problem.next_n, problem.logits_stride,
                       problem.max_context_len, problem.logits_type);
}

std::size_t logits_bytes_of(const MqaProblem& problem) {
  return bytes_of_rows(problem.num_tokens, problem.logits_stride, problem.logits_width,
                       problem.logits_type);
}

}  // namespace jit::inline v1::reference
