#include <algorithm>
#include <random>
#include <set>
#include <tuple>

#include "kernels/reference/attention.hpp"
#include "kernels/reference/attention_keys.hpp"

namespace jit::inline v1::reference {
namespace {

// Tiles have edges at multiples of it.
constexpr std::int64_t kEdge = 64;

// Tokens where masks and tiles begin and end.
std::vector<std::int64_t> edges_of(const AttentionProblem& problem) {
  std::set<std::int64_t> tokens;
  for (std::int64_t sequence = 0; sequence < problem.num_sequences; ++sequence) {
    const auto [begin, end] = tokens_of(problem, sequence);
    for (const std::int64_t token :
         {begin, begin + 1, begin + kEdge - 1, begin + kEdge, begin + 2 * kEdge - 1,
          begin + 2 * kEdge, begin + (end - begin) / (2 * kEdge) * 2 * kEdge, end - 2, end - 1}) {
      if (token >= begin && token < end) tokens.insert(token);
    }
  }
  return {tokens.begin(), tokens.end()};
}

}  // namespace

std::vector<AttentionRow> sample_attention_rows(const AttentionProblem& problem, std::size_t count,
                                                std::uint64_t seed) {
  const auto less = [](const AttentionRow& a, const AttentionRow& b) {
    return std::tie(a.token, a.head) < std::tie(b.token, b.head);
  };
  std::set<AttentionRow, decltype(less)> rows(less);
  const std::int64_t begin = problem.cu_seqlens_q[0];
  const std::int64_t places = problem.cu_seqlens_q[problem.num_sequences] - begin;
  std::int64_t tokens = 0;
  for (std::int64_t sequence = 0; sequence < problem.num_sequences; ++sequence) {
    tokens += tokens_of(problem, sequence).count();
  }
  const auto wanted = static_cast<std::size_t>(
      std::min(static_cast<std::int64_t>(count), tokens * problem.num_heads));
  std::mt19937_64 random(seed);
  const auto below = [&](std::int64_t bound) {
    return std::uniform_int_distribution<std::int64_t>(0, bound - 1)(random);
  };
  std::vector<std::int64_t> edges = edges_of(problem);
  std::shuffle(edges.begin(), edges.end(), random);
  for (std::size_t i = 0; i < edges.size() && rows.size() < (wanted + 1) / 2; ++i) {
    rows.insert({edges[i], below(problem.num_heads)});
  }
  while (rows.size() < wanted) {
    const AttentionRow row{begin + below(places), below(problem.num_heads)};
    if (sequence_of(problem, row.token) >= 0) rows.insert(row);
  }
  return {rows.begin(), rows.end()};
}

}  // namespace jit::inline v1::reference
