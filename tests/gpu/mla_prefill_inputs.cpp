#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <span>

#include "gpu/mla_prefill_case.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr std::uint16_t kNaN = 0x7FFF;
constexpr std::size_t kTableBits = 16;
// How much further the score of the last key of a rising sequence is than that of the first.
constexpr double kRise = 24.0;

std::uint16_t to_bf16(double value) {
  return static_cast<std::uint16_t>(reference::encode(reference::kBF16Format, value));
}

double from_bf16(std::uint16_t code) { return reference::decode(reference::kBF16Format, code); }

// N(0, 1) in bf16, once for all; elements are drawn from it.
const std::vector<std::uint16_t>& normal_table() {
  static const std::vector<std::uint16_t> table = [] {
    std::mt19937_64 engine(1);
    std::normal_distribution<double> normal;
    std::vector<std::uint16_t> made(std::size_t{1} << kTableBits);
    for (std::uint16_t& code : made) code = to_bf16(normal(engine));
    return made;
  }();
  return table;
}

void fill_normal(std::span<std::uint16_t> to, std::uint64_t seed) {
  const std::vector<std::uint16_t>& table = normal_table();
  std::uint64_t random = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    if (i % 4 == 0) random = scrambled(seed + i);
    to[i] = table[random & 0xFFFFU];
    random >>= kTableBits;
  }
}

// Each (token, head) of an operand. What depends on the place draws from its own seed, so that an
// operand's contents do not depend on its strides.
template <class Visit>
void for_each_row(const HeadsExtent& extent, std::vector<std::uint16_t>& data, const Visit& visit) {
  for (std::int64_t token = 0; token < extent.tokens; ++token) {
    for (std::int64_t head = 0; head < extent.heads; ++head) {
      visit(token,
            std::span(data).subspan(extent.at(token, head), static_cast<std::size_t>(extent.dim)));
    }
  }
}

std::vector<std::uint16_t> normal_operand(const HeadsExtent& extent, std::uint64_t seed) {
  std::vector<std::uint16_t> data(extent.elements(), kNaN);
  std::uint64_t row = 0;
  for_each_row(extent, data, [&](std::int64_t, std::span<std::uint16_t> elements) {
    fill_normal(elements, scrambled(seed + row++));
  });
  return data;
}

void scale_all(std::vector<std::uint16_t>& data, int exponent) {
  for (std::uint16_t& code : data) {
    if (code != kNaN) code = to_bf16(std::ldexp(from_bf16(code), exponent));
  }
}

// Adds `amount(token)` to every element: what two rows have in common adds to their product.
template <class Amount>
void add_to_rows(const HeadsExtent& extent, std::vector<std::uint16_t>& data,
                 const Amount& amount) {
  for_each_row(extent, data, [&](std::int64_t token, std::span<std::uint16_t> elements) {
    const double more = amount(token);
    for (std::uint16_t& code : elements) code = to_bf16(from_bf16(code) + more);
  });
}

// From 0 at the first key of its sequence to kRise (or back) at the last one.
std::vector<double> rise_of_keys(const MlaCase& mla) {
  std::vector<double> rise(static_cast<std::size_t>(mla.outside));
  for (const std::int32_t length : mla.lengths_of_keys()) {
    for (std::int32_t i = 0; i < length; ++i) {
      const double part = static_cast<double>(i) / length;
      rise.push_back(kRise * (mla.pattern == MlaPattern::kRising ? part : 1 - part));
    }
  }
  rise.resize(static_cast<std::size_t>(mla.key_tokens()));
  return rise;
}

void slope_scores(const MlaCase& mla, MlaInputs& inputs) {
  const std::vector<double> rise = rise_of_keys(mla);
  const double product = mla.effective_scale() * static_cast<double>(mla.head_dim);
  add_to_rows(mla.queries(), inputs.q, [](std::int64_t) { return 1.0; });
  const auto amount = [&](std::int64_t token) {
    return rise[static_cast<std::size_t>(token)] / product;
  };
  add_to_rows(mla.keys(), inputs.k, amount);
  if (mla.rope_apart) add_to_rows(mla.rope(), inputs.k_rope, amount);
}

void add_outliers(const MlaCase& mla, MlaInputs& inputs) {
  std::mt19937_64 engine(mla.seed + 5);
  for_each_row(mla.values(), inputs.v, [&](std::int64_t, std::span<std::uint16_t> elements) {
    for (std::uint16_t& code : elements) {
      if (engine() % 500 == 0) code = to_bf16(std::ldexp(from_bf16(code), 12));
    }
  });
}

// A value that is NaN is so for all rows of a tile, whether they see it or not.
void add_nans(const MlaCase& mla, MlaInputs& inputs) {
  std::mt19937_64 engine(mla.seed + 6);
  for_each_row(mla.queries(), inputs.q, [&](std::int64_t, std::span<std::uint16_t> elements) {
    if (engine() % 20 == 0) elements[engine() % elements.size()] = kNaN;
  });
  if (mla.causal) return;
  for_each_row(mla.values(), inputs.v, [&](std::int64_t, std::span<std::uint16_t> elements) {
    if (engine() % 100 == 0) std::fill(elements.begin(), elements.end(), kNaN);
  });
}

void apply_pattern(const MlaCase& mla, MlaInputs& inputs) {
  switch (mla.pattern) {
    case MlaPattern::kOrdinary: return;
    case MlaPattern::kSharp: return scale_all(inputs.q, 3);
    case MlaPattern::kLevel: return scale_all(inputs.q, -6);
    case MlaPattern::kRising:
    case MlaPattern::kFalling: return slope_scores(mla, inputs);
    case MlaPattern::kOutliers: return add_outliers(mla, inputs);
    case MlaPattern::kNaN: return add_nans(mla, inputs);
  }
}

// Tokens of no sequence.
void spoil_outside(const HeadsExtent& extent, const std::vector<std::int32_t>& cu_seqlens,
                   std::vector<std::uint16_t>& data) {
  constexpr std::array<std::uint16_t, 4> kGarbage{kNaN, 0xFFC0, 0x7F80, 0xFF80};
  for_each_row(extent, data, [&](std::int64_t token, std::span<std::uint16_t> elements) {
    if (token >= cu_seqlens.front() && token < cu_seqlens.back()) return;
    for (std::size_t i = 0; i < elements.size(); ++i) {
      elements[i] = kGarbage[(i + static_cast<std::size_t>(token)) % kGarbage.size()];
    }
  });
}

}  // namespace

MlaInputs make_inputs(const MlaCase& mla) {
  MlaInputs inputs;
  inputs.q = normal_operand(mla.queries(), scrambled(mla.seed * 4));
  inputs.k = normal_operand(mla.keys(), scrambled(mla.seed * 4 + 1));
  inputs.v = normal_operand(mla.values(), scrambled(mla.seed * 4 + 2));
  inputs.k_rope = normal_operand(mla.rope(), scrambled(mla.seed * 4 + 3));
  inputs.cu_seqlens_q = sums_of(mla.query_lengths, mla.outside);
  inputs.cu_seqlens_k = sums_of(mla.lengths_of_keys(), mla.outside);
  apply_pattern(mla, inputs);
  spoil_outside(mla.queries(), inputs.cu_seqlens_q, inputs.q);
  spoil_outside(mla.keys(), inputs.cu_seqlens_k, inputs.k);
  spoil_outside(mla.values(), inputs.cu_seqlens_k, inputs.v);
  spoil_outside(mla.rope(), inputs.cu_seqlens_k, inputs.k_rope);
  return inputs;
}

}  // namespace jit::test
