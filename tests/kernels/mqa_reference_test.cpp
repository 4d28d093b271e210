// The float64 references of the MQA logits kernels and their judge: against sums as they are
// written down, against tensor cores as they add, and against results that are wrong.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <vector>

#include "gpu/mqa_tools.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/mqa_logits.hpp"
#include "kernels/reference/mqa_scores.hpp"

namespace jit::test {
namespace {

using reference::MqaCheck;
using reference::MqaProblem;
using reference::PagedMqaProblem;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// How a kernel adds the products of one query row and one key.
using Dot = std::function<double(const std::byte* query, const std::byte* key, std::int64_t dim)>;

// Of the 256 codes of e4m3.
const std::array<double, 256>& code_values() {
  static const std::array<double, 256> values = [] {
    std::array<double, 256> made{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      made[i] = reference::decode(reference::kE4M3Format, i);
    }
    return made;
  }();
  return values;
}

double product(const std::array<double, 256>& values, std::byte query, std::byte key) {
  return values[std::to_integer<std::size_t>(query)] * values[std::to_integer<std::size_t>(key)];
}

double exact_dot(const std::byte* query, const std::byte* key, std::int64_t dim) {
  const auto& values = code_values();
  double sum = 0;
  for (std::int64_t d = 0; d < dim; ++d) sum += product(values, query[d], key[d]);
  return sum;
}

// 32 products and the sum so far are cut off 13 bits below the largest of them, then added.
double tensor_core_dot(const std::byte* query, const std::byte* key, std::int64_t dim) {
  const auto& values = code_values();
  double sum = 0;
  for (std::int64_t first = 0; first < dim; first += 32) {
    std::array<double, 33> terms{sum};
    for (std::size_t d = 0; d < 32; ++d) {
      const auto at = static_cast<std::size_t>(first) + d;
      terms[d + 1] = product(values, query[at], key[at]);
    }
    double largest = 0;
    for (const double term : terms) largest = std::max(largest, std::fabs(term));
    if (largest == 0) continue;
    const double unit = std::ldexp(1.0, std::ilogb(largest) - 13);
    sum = 0;
    for (const double term : terms) sum += static_cast<double>(static_cast<int>(term / unit));
    sum *= unit;
  }
  return sum;
}

// A small paged call with everything that may vary, and the logits that a kernel leaves.
struct Paged {
  Paged(std::int64_t heads, std::int64_t dim, std::int64_t block_kv, DType type, bool clean) {
    problem.batch = 5;
    problem.next_n = 3;
    problem.num_heads = heads;
    problem.head_dim = dim;
    problem.block_kv = block_kv;
    problem.max_context_len = 300;
    problem.logits_type = type;
    problem.clean_logits = clean;
    problem.block_stride = block_kv * (dim + 4) + 48;
    problem.block_table_stride = 300 / block_kv + 3;
    problem.logits_stride = 320;
    const MqaPool& pool = mqa_pool(dim);
    const std::int64_t rows = problem.batch * problem.next_n;
    query.resize(static_cast<std::size_t>(rows * heads * dim));
    weights.resize(static_cast<std::size_t>(rows * heads));
    pool.write_queries(query.data(), 0, weights.size());
    pool.write_weights(weights.data(), 0, weights.size());
    table = random_permutation(problem.batch * problem.block_table_stride, 3);
    cache.resize(table.size() * static_cast<std::size_t>(problem.block_stride));
    for (std::size_t block = 0; block < table.size(); ++block) {
      pool.write_block(cache.data() + block * static_cast<std::size_t>(problem.block_stride),
                       block_kv, block);
    }
    lengths = {0, 1, 65, 7, 300, 64, 0, 0, 0, -4, 31, 33, 99, 500, 57};
    problem.query = query.data();
    problem.kv_cache = cache.data();
    problem.weights = weights.data();
    problem.context_lens = lengths.data();
    problem.block_table = table.data();
    logits.assign(reference::logits_bytes_of(problem), std::byte{0xFF});
  }

  std::int64_t length(std::int64_t row) const {
    return std::clamp<std::int64_t>(lengths[static_cast<std::size_t>(row)], 0, 300);
  }
  void store(std::int64_t row, std::int64_t column, double value) {
    reference::store_element(problem.logits_type, logits.data(),
                             static_cast<std::uint64_t>(row * problem.logits_stride + column),
                             value);
  }
  std::byte* key(std::int64_t row, std::int64_t position) {
    const std::int64_t entry =
        row / problem.next_n * problem.block_table_stride + position / problem.block_kv;
    return cache.data() + table[static_cast<std::size_t>(entry)] * problem.block_stride +
           position % problem.block_kv * problem.head_dim;
  }
  std::byte* scale(std::int64_t row, std::int64_t position) {
    const std::int64_t within = position % problem.block_kv;
    return key(row, position) - within * problem.head_dim + problem.block_kv * problem.head_dim +
           within * 4;
  }
  double score(std::int64_t row, std::int64_t position, const Dot& dot) {
    double sum = 0;
    for (std::int64_t head = 0; head < problem.num_heads; ++head) {
      const std::int64_t index = row * problem.num_heads + head;
      const double found =
          dot(query.data() + index * problem.head_dim, key(row, position), problem.head_dim);
      sum +=
          static_cast<double>(weights[static_cast<std::size_t>(index)]) * (found < 0 ? 0 : found);
    }
    return sum * reference::load_element(f32, scale(row, position), 0);
  }
  // What a right kernel leaves that adds like this.
  void run(const Dot& dot) {
    for (std::int64_t row = 0; row < problem.batch * problem.next_n; ++row) {
      for (std::int64_t p = 0; p < problem.max_context_len; ++p) {
        if (p < length(row)) store(row, p, score(row, p, dot));
        else if (problem.clean_logits) store(row, p, -std::numeric_limits<double>::infinity());
      }
    }
  }
  MqaCheck check() const { return reference::check_paged_mqa(problem, logits.data()); }

  PagedMqaProblem problem;
  std::vector<std::byte> query, cache, logits;
  std::vector<float> weights;
  std::vector<std::int32_t> lengths, table;
};

TEST_CASE("the reference of paged scores is the formula", "[kernels][mqa]") {
  for (const std::int64_t heads : {16, 32, 64}) {
    for (const std::int64_t dim : {32, 64, 128}) {
      if (heads * dim > 64 * 64) continue;
      Paged paged(heads, dim, dim == 64 ? 32 : 64, f32, heads == 32);
      paged.run(exact_dot);
      const MqaCheck check = paged.check();
      CAPTURE(heads, dim, check.text());
      CHECK(check.passed(f32));
      CHECK(check.rows == 15);
      CHECK(check.scores == 1 + 65 + 7 + 300 + 64 + 31 + 33 + 99 + 300 + 57);
      CHECK(check.worst_error < 1e-6);
    }
  }
}

TEST_CASE("scores added as tensor cores do are within half of the bound", "[kernels][mqa]") {
  for (const std::int64_t heads : {16, 32}) {
    for (const std::int64_t dim : {32, 128}) {
      for (const DType type : {f32, bf16}) {
        Paged paged(heads, dim, 64, type, false);
        paged.run(tensor_core_dot);
        const MqaCheck check = paged.check();
        CAPTURE(heads, dim, name_of(type), check.text());
        CHECK(check.passed(type));
        CHECK(check.worst_error < reference::kMqaErrorBound / 2);
        CHECK(check.worst_error > 1e-6);
      }
    }
  }
}

TEST_CASE("scores of a single head added as tensor cores do are within half of the bound",
          "[kernels][mqa]") {
  Paged paged(16, 32, 64, f32, false);
  for (std::size_t i = 0; i < paged.weights.size(); ++i) {
    if (i % 16 != 3) paged.weights[i] = 0;
  }
  paged.run(tensor_core_dot);
  const MqaCheck check = paged.check();
  CAPTURE(check.text());
  CHECK(check.passed(f32));
  CHECK(check.worst_error < reference::kMqaErrorBound / 2);
}

TEST_CASE("scores that are off together by less than each may be are found", "[kernels][mqa]") {
  Paged paged(16, 64, 64, f32, false);
  paged.run([](const std::byte* query, const std::byte* key, std::int64_t dim) {
    return 1.0007 * exact_dot(query, key, dim);
  });
  const MqaCheck check = paged.check();
  CAPTURE(check.text());
  CHECK(check.wrong == 0);
  CHECK(check.worst_row_difference < 1e-6);
  CHECK(!check.passed(f32));
}

}  // namespace
}  // namespace jit::test
