#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <span>

#include "gpu/fp8_attention_case.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/parallel.hpp"

namespace jit::test {
namespace {

using Codes = std::vector<std::uint8_t>;

constexpr std::uint8_t kNaN = 0x7F;
constexpr int kTableBits = 16;
// How much further the score of the last key of a rising sequence is than that of the first.
constexpr double kRise = 24.0;
// Operands of less are drawn by one thread.
constexpr std::size_t kManyElements = std::size_t{1} << 24;

std::uint8_t to_e4m3(double value) {
  return static_cast<std::uint8_t>(
      reference::encode(reference::kE4M3Format, value, reference::Overflow::kSaturate));
}

double from_e4m3(std::uint8_t code) { return reference::decode(reference::kE4M3Format, code); }

// What elements are drawn from.
enum class Drawn : std::uint8_t { kNormal, kZero, kUniform, kShifted, kEightfold };
constexpr std::size_t kDrawns = 5;

// Elements of each kind, once for all.
const Codes& table_of(Drawn drawn) {
  static const std::array<Codes, kDrawns> tables = [] {
    std::mt19937_64 engine(1);
    std::normal_distribution<double> normal;
    std::array<Codes, kDrawns> made;
    for (int i = 0; i < 1 << kTableBits; ++i) {
      const double value = normal(engine);
      const double level = (i + 0.5) * std::ldexp(1.0, -kTableBits);
      made[0].push_back(to_e4m3(value));
      made[1].push_back(0);
      made[2].push_back(to_e4m3(level));
      made[3].push_back(to_e4m3(1 + value));
      made[4].push_back(to_e4m3(8 * value));
    }
    return made;
  }();
  return tables[static_cast<std::size_t>(drawn)];
}

void draw(Drawn drawn, std::span<std::uint8_t> to, std::uint64_t seed) {
  const Codes& table = table_of(drawn);
  std::uint64_t random = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (i % 4 == 0) random = scrambled(seed + i);
    to[i] = table[random & 0xFFFFU];
    random >>= kTableBits;
  }
}

// The kinds of a pattern's operands.
struct Kinds {
  Drawn q = Drawn::kNormal;
  Drawn k = Drawn::kNormal;
  Drawn v = Drawn::kNormal;
};

Kinds kinds_of(Fp8Pattern pattern) {
  switch (pattern) {
    case Fp8Pattern::kSharp: return {Drawn::kEightfold};
    case Fp8Pattern::kPeaked: return {Drawn::kEightfold, Drawn::kEightfold};
    case Fp8Pattern::kUniform: return {Drawn::kZero};
    case Fp8Pattern::kBias: return {Drawn::kZero, Drawn::kNormal, Drawn::kUniform};
    case Fp8Pattern::kShifted: return {Drawn::kNormal, Drawn::kNormal, Drawn::kShifted};
    default: return {};
  }
}

// One of a sequence's tokens: where it lies, and what its contents depend on.
struct Token {
  std::int64_t place;
  std::uint64_t number;  // of the sequence and the token
  double part;           // of the sequence that lies before it
};

// The seed of one operand's heads; `operand` 0 to 2.
std::uint64_t seed_of(const Fp8Case& fp8, std::uint64_t operand, const Token& token,
                      std::int64_t head) {
  return scrambled(scrambled(fp8.seed * 4 + operand) + token.number * 64 +
                   static_cast<std::uint64_t>(head) * 0x10000000000U);
}

std::uint64_t number_of(const Fp8Case& fp8, std::size_t sequence, std::int64_t token) {
  return (static_cast<std::uint64_t>(fp8.first_sequence) + sequence) << 24 |
         static_cast<std::uint64_t>(token);
}

std::vector<Token> query_tokens_of(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  std::vector<Token> tokens;
  for (std::size_t b = 0; b < fp8.query_lengths.size(); ++b) {
    const std::int32_t length = fp8.query_lengths[b];
    for (std::int32_t i = 0; i < length; ++i) {
      tokens.push_back({inputs.cu_seqlens_q[b] + i, number_of(fp8, b, length - 1 - i), 0});
    }
  }
  return tokens;
}

std::vector<Token> key_tokens_of(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  std::vector<Token> tokens;
  const std::vector<std::int32_t>& lengths = fp8.lengths_of_keys();
  for (std::size_t b = 0; b < lengths.size(); ++b) {
    for (std::int32_t j = 0; j < lengths[b]; ++j) {
      tokens.push_back({place_of_key(fp8, inputs, static_cast<std::int64_t>(b), j),
                        number_of(fp8, b, j), static_cast<double>(j) / lengths[b]});
    }
  }
  return tokens;
}

// An operand whose tokens `make` fills, head by head; the rest of it is NaN.
template <class Make>
Codes operand_of(const HeadsExtent& extent, const std::vector<Token>& tokens, const Make& make) {
  Codes data(extent.elements(), kNaN);
  const unsigned threads = data.size() < kManyElements ? 1 : 0;
  reference::parallel_for(std::ssize(tokens), threads, [&](std::int64_t i, unsigned) {
    const Token& token = tokens[static_cast<std::size_t>(i)];
    for (std::int64_t head = 0; head < extent.heads; ++head) {
      make(token, head,
           std::span(data).subspan(extent.at(token.place, head),
                                   static_cast<std::size_t>(extent.dim)));
    }
  });
  return data;
}

void add_to_all(std::span<std::uint8_t> elements, double amount) {
  for (std::uint8_t& code : elements) code = to_e4m3(from_e4m3(code) + amount);
}

bool is_sloped(const Fp8Case& fp8) {
  return fp8.pattern == Fp8Pattern::kRising || fp8.pattern == Fp8Pattern::kFalling;
}

void fill_tokens(const Fp8Case& fp8, Fp8Inputs& inputs) {
  const Kinds kinds = kinds_of(fp8.pattern);
  const double product = fp8.effective_scale() * static_cast<double>(fp8.head_dim);
  inputs.q = operand_of(fp8.queries(), query_tokens_of(fp8, inputs),
                        [&](const Token& token, std::int64_t head, std::span<std::uint8_t> to) {
                          draw(kinds.q, to, seed_of(fp8, 0, token, head));
                          if (is_sloped(fp8)) add_to_all(to, 1.0);
                        });
  const std::vector<Token> keys = key_tokens_of(fp8, inputs);
  inputs.k = operand_of(
      fp8.keys(), keys, [&](const Token& token, std::int64_t head, std::span<std::uint8_t> to) {
        draw(kinds.k, to, seed_of(fp8, 1, token, head));
        const bool rising = fp8.pattern == Fp8Pattern::kRising;
        if (is_sloped(fp8))
          add_to_all(to, kRise / product * (rising ? token.part : 1 - token.part));
      });
  inputs.v = operand_of(fp8.values(), keys,
                        [&](const Token& token, std::int64_t head, std::span<std::uint8_t> to) {
                          const std::uint64_t seed = seed_of(fp8, 2, token, head);
                          draw(kinds.v, to, seed);
                          if (fp8.pattern != Fp8Pattern::kOutliers || seed % 4 != 0) return;
                          std::uint8_t& code = to[seed / 4 % to.size()];
                          code = to_e4m3(from_e4m3(code) * 64);
                        });
}

std::vector<std::int32_t> places_of(const std::vector<std::int32_t>& lengths, std::int64_t outside,
                                    std::int64_t slack) {
  std::vector<std::int32_t> wide = lengths;
  for (std::int32_t& length : wide)
    length += static_cast<std::int32_t>(std::max<std::int64_t>(slack, 0));
  return sums_of(wide, outside);
}

// Pages in random order; beyond those of a sequence, numbers that are none.
std::vector<std::int32_t> make_table(const Fp8Case& fp8) {
  using Limits = std::numeric_limits<std::int32_t>;
  const std::array<std::int32_t, 5> garbage{-1, static_cast<std::int32_t>(fp8.num_pages()),
                                            Limits::max(), Limits::min(), 123'456'789};
  std::vector<std::int32_t> pages(static_cast<std::size_t>(fp8.num_pages()));
  std::iota(pages.begin(), pages.end(), 0);
  std::shuffle(pages.begin(), pages.end(), std::mt19937_64(fp8.seed + 7));
  const auto stride = static_cast<std::size_t>(fp8.table_stride());
  std::vector<std::int32_t> table(fp8.query_lengths.size() * stride);
  for (std::size_t i = 0; i < table.size(); ++i) table[i] = garbage[i % garbage.size()];
  std::size_t next = 0;
  for (std::size_t b = 0; b < fp8.query_lengths.size(); ++b) {
    const std::int64_t count = (fp8.lengths_of_keys()[b] + fp8.page_size - 1) / fp8.page_size;
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      table[b * stride + i] = pages[next++];
    }
  }
  return table;
}

// What no sequence and head has is NaN.
std::vector<float> make_factors(const Fp8Case& fp8, std::uint64_t operand) {
  std::vector<float> factors(static_cast<std::size_t>(fp8.factor_elements()),
                             std::numeric_limits<float>::quiet_NaN());
  if (factors.empty()) return factors;
  for (std::int64_t b = 0; b < fp8.sequences(); ++b) {
    for (std::int64_t head = 0; head < fp8.kv_heads; ++head) {
      const std::int64_t number = fp8.factor_sequence_stride() == 0 ? 0 : fp8.first_sequence + b;
      const std::uint64_t seed = scrambled(fp8.seed * 4 + operand) +
                                 static_cast<std::uint64_t>(number * 4096) +
                                 static_cast<std::uint64_t>(fp8.factor_head_stride() * head);
      const std::uint64_t random = scrambled(seed);
      const bool extreme = fp8.factors == Fp8Factors::kExtreme;
      const double level = static_cast<double>(random >> 11) * 0x1p-52;
      const double value = extreme ? (random % 2 == 0 ? 0x1p-6 : 8.0) : level;
      factors[static_cast<std::size_t>(b * fp8.factor_sequence_stride() +
                                       head * fp8.factor_head_stride())] =
          static_cast<float>(value);
    }
  }
  return factors;
}

std::vector<std::uint16_t> make_sinks(const Fp8Case& fp8) {
  std::vector<std::uint16_t> sinks;
  if (!fp8.sinks) return sinks;
  std::mt19937_64 engine(fp8.seed + 11);
  std::normal_distribution<double> normal(0, 3);
  for (std::int64_t head = 0; head < fp8.heads; ++head) {
    sinks.push_back(
        static_cast<std::uint16_t>(reference::encode(reference::kBF16Format, normal(engine))));
  }
  return sinks;
}

}  // namespace

std::int64_t place_of_key(const Fp8Case& fp8, const Fp8Inputs& inputs, std::int64_t sequence,
                          std::int64_t key) {
  if (fp8.page_size == 0) return inputs.cu_seqlens_k[static_cast<std::size_t>(sequence)] + key;
  const std::int64_t entry = sequence * fp8.table_stride() + key / fp8.page_size;
  return inputs.page_table[static_cast<std::size_t>(entry)] * fp8.page_size + key % fp8.page_size;
}

Fp8Inputs make_inputs(const Fp8Case& fp8) {
  Fp8Inputs inputs;
  inputs.cu_seqlens_q = places_of(fp8.query_lengths, fp8.outside, fp8.query_slack);
  const bool own = fp8.has_key_places();
  inputs.cu_seqlens_k =
      places_of(fp8.lengths_of_keys(), fp8.outside, own ? fp8.key_slack : fp8.query_slack);
  inputs.seqused_q = fp8.query_lengths;
  inputs.seqused_k = fp8.lengths_of_keys();
  if (fp8.page_size != 0) inputs.page_table = make_table(fp8);
  inputs.q_factors = make_factors(fp8, 0);
  inputs.k_factors = make_factors(fp8, 1);
  inputs.v_factors = make_factors(fp8, 2);
  inputs.sinks = make_sinks(fp8);
  fill_tokens(fp8, inputs);
  return inputs;
}

}  // namespace jit::test
