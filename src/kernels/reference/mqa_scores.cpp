#include "kernels/reference/mqa_scores.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "kernels/reference/element.hpp"

namespace jit::inline v1::reference {
namespace {

constexpr std::size_t kLanes = 4;           // heads of a vector
constexpr std::size_t kHeads = 2 * kLanes;  // and of a step
constexpr std::size_t kGroup = 4;           // keys that share what is loaded of the queries
using Vector = double __attribute__((vector_size(kLanes * sizeof(double)), aligned(8)));

std::array<double, 256> values_of_codes() {
  std::array<double, 256> values{};
  for (std::uint32_t code = 0; code < values.size(); ++code) {
    values[code] = decode(kE4M3Format, code);
  }
  return values;
}

// Dots of kGroup keys with kHeads heads: query [dim] and the step between its elements, keys
// [dim, kGroup].
struct DotOperands {
  const double* query = nullptr;
  std::size_t step = 0;
  const double* keys = nullptr;
  std::size_t dim = 0;
};
using Dots = std::array<std::array<double, kHeads>, kGroup>;

[[gnu::always_inline]] inline void dots(const DotOperands& of, Dots& result) {
  Vector low[kGroup] = {};
  Vector high[kGroup] = {};
  for (std::size_t d = 0; d < of.dim; ++d) {
    const auto* const query = reinterpret_cast<const Vector*>(of.query + d * of.step);
    const double* const key = of.keys + d * kGroup;
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kGroup; ++i) {
      low[i] += query[0] * key[i];
      high[i] += query[1] * key[i];
    }
  }
  for (std::size_t i = 0; i < kGroup; ++i) {
    std::memcpy(result[i].data(), &low[i], sizeof(Vector));
    std::memcpy(result[i].data() + kLanes, &high[i], sizeof(Vector));
  }
}

void dots_plain(const DotOperands& of, Dots& result) { dots(of, result); }

// The same sums, which are exact either way, several times as fast.
#if defined(__x86_64__)
[[gnu::target("avx2,fma")]] void dots_avx2(const DotOperands& of, Dots& result) {
  dots(of, result);
}
bool has_avx2() { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#else
constexpr auto dots_avx2 = dots_plain;
bool has_avx2() { return false; }
#endif

double sum_of_heads(const std::array<double, kHeads>& dots, const double* weights) {
  double sum = 0.0;
  for (std::size_t head = 0; head < kHeads; ++head) {
    // A NaN stays one: it is not below 0.
    sum += weights[head] * (dots[head] < 0.0 ? 0.0 : dots[head]);
  }
  return sum;
}

}  // namespace

struct MqaScorer::State {
  std::size_t tokens = 0;
  std::size_t heads = 0;
  std::size_t dim = 0;
  std::vector<double> query;         // [tokens, dim, heads]
  std::vector<double> weights;       // [tokens, heads]
  std::vector<double> squares;       // [tokens]: of |query| * weight, over dim, of all heads
  std::array<double, 256> values{};  // of e4m3's codes
  void (*dots)(const DotOperands&, Dots&) = dots_plain;

  // The sums over all heads of a token, for kGroup keys [dim, kGroup].
  std::array<double, kGroup> sums(std::size_t token, const double* keys) const {
    std::array<double, kGroup> sums{};
    for (std::size_t head = 0; head < heads; head += kHeads) {
      Dots found;
      dots({&query[token * dim * heads + head], heads, keys, dim}, found);
      for (std::size_t key = 0; key < kGroup; ++key) {
        sums[key] += sum_of_heads(found[key], &weights[token * heads + head]);
      }
    }
    return sums;
  }
};

MqaScorer::~MqaScorer() = default;
MqaScorer::MqaScorer(MqaScorer&&) noexcept = default;
MqaScorer& MqaScorer::operator=(MqaScorer&&) noexcept = default;

MqaScorer::MqaScorer(const Queries& queries) : state_(std::make_unique<State>()) {
  State& state = *state_;
  state.tokens = static_cast<std::size_t>(queries.tokens);
  state.heads = static_cast<std::size_t>(queries.heads);
  state.dim = static_cast<std::size_t>(queries.dim);
  const std::size_t rows = state.tokens * state.heads;
  state.query.resize(rows * state.dim);
  state.weights.assign(queries.weights, queries.weights + rows);
  state.squares.resize(state.tokens);
  if (has_avx2()) state.dots = dots_avx2;
  state.values = values_of_codes();
  const auto* const codes = static_cast<const std::uint8_t*>(queries.query);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::size_t token = row / state.heads;
    const double weight = state.weights[row];
    for (std::size_t d = 0; d < state.dim; ++d) {
      const double value = state.values[codes[row * state.dim + d]];
      state.query[(token * state.dim + d) * state.heads + row % state.heads] = value;
      state.squares[token] += weight * weight * value * value / static_cast<double>(state.dim);
    }
  }
}

void MqaScorer::score(const void* keys, const void* scales, std::size_t count,
                      MqaScore* scores) const {
  const State& state = *state_;
  const auto* const codes = static_cast<const std::uint8_t*>(keys);
  std::vector<double> group(state.dim * kGroup);
  for (std::size_t first = 0; first < count; first += kGroup) {
    const std::size_t some = std::min(kGroup, count - first);
    std::array<double, kGroup> squares{};
    for (std::size_t key = 0; key < some; ++key) {
      const std::uint8_t* const code = codes + (first + key) * state.dim;
      for (std::size_t d = 0; d < state.dim; ++d) {
        const double value = state.values[code[d]];
        group[d * kGroup + key] = value;
        squares[key] += value * value;
      }
    }
    for (std::size_t token = 0; token < state.tokens; ++token) {
      const std::array<double, kGroup> sums = state.sums(token, group.data());
      for (std::size_t key = 0; key < some; ++key) {
        const double scale = load_element(DType::kF32, scales, first + key);
        scores[token * count + first + key] = {
            scale * sums[key], std::fabs(scale) * std::sqrt(squares[key] * state.squares[token])};
      }
    }
  }
}

}  // namespace jit::inline v1::reference
