#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "gpu/gpu.hpp"
#include "gpu/merge_case.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
// Further apart, the smaller side's weight is 0 in fp32.
constexpr float kDrowned = 200.0F;

struct Lses {
  float prefix;
  float suffix;
};

class LseSource {
 public:
  LseSource(LsePattern pattern, std::mt19937_64& engine) : pattern_(pattern), engine_(engine) {}

  Lses draw() {
    const Lses plain{normal_(engine_), normal_(engine_)};
    const float chance = uniform_(engine_);
    switch (pattern_) {
      case LsePattern::kOrdinary:
      case LsePattern::kGroups: return ordinary(plain, chance);
      case LsePattern::kEmpty: return empty(plain, chance);
      case LsePattern::kExtreme: return extreme(plain, chance);
      case LsePattern::kNaN: return with_nan({plain.prefix * 8, plain.suffix * 8}, chance);
      case LsePattern::kWide: return {plain.prefix * 20, plain.suffix * 20};
    }
    return plain;
  }

 private:
  static Lses ordinary(Lses lses, float chance) {
    if (chance < 0.1F) return {kInfinity, lses.suffix};
    if (chance < 0.2F) return {lses.prefix, kInfinity};
    return lses;
  }
  static Lses empty(Lses lses, float chance) {
    if (chance < 0.15F) return {-kInfinity, lses.suffix};
    if (chance < 0.3F) return {lses.prefix, -kInfinity};
    if (chance < 0.4F) return {-kInfinity, -kInfinity};
    if (chance < 0.5F) return {kInfinity, kInfinity};
    if (chance < 0.55F) return {kInfinity, -kInfinity};
    if (chance < 0.6F) return {-kInfinity, kInfinity};
    return ordinary(lses, (chance - 0.6F) * 2.0F);
  }
  static Lses extreme(Lses lses, float chance) {
    if (chance < 0.2F) return {lses.suffix, lses.suffix};
    if (chance < 0.4F) return {lses.suffix + 1e4F, lses.suffix};
    if (chance < 0.6F) return {lses.prefix, lses.prefix + 1e4F};
    if (chance < 0.7F) return {3e38F, -3e38F};
    if (chance < 0.8F) return {-3e38F, 3e38F};
    if (chance < 0.85F) return {3e38F, 3e38F};
    if (chance < 0.9F) return {-3e38F, -3e38F};
    return lses;
  }
  static Lses with_nan(Lses lses, float chance) {
    if (chance < 0.1F) return {kNaN, lses.suffix};
    if (chance < 0.2F) return {lses.prefix, kNaN};
    if (chance < 0.25F) return {kNaN, kNaN};
    if (chance < 0.3F) return {kNaN, -kInfinity};
    if (chance < 0.35F) return {kInfinity, kNaN};
    return lses;
  }

  LsePattern pattern_;
  std::mt19937_64& engine_;
  std::normal_distribution<float> normal_;
  std::uniform_real_distribution<float> uniform_{0.0F, 1.0F};
};

constexpr std::uint32_t kBlock = 64;  // the smallest group
constexpr std::size_t kPoolElements = std::size_t{1} << 16;

// Normally distributed elements of a type, drawn once per run: a case picks from them at random.
const std::vector<std::byte>& pool_of(DType type) {
  const auto make = [](DType of) {
    std::mt19937_64 engine(run_seed() + 1);
    std::normal_distribution<double> normal;
    std::vector<std::byte> pool(kPoolElements * bytes_of(of));
    for (std::size_t i = 0; i < kPoolElements; ++i) {
      reference::store_element(of, pool.data(), i, normal(engine));
    }
    return pool;
  };
  static const std::array<std::vector<std::byte>, 3> pools{make(f32), make(f16), make(bf16)};
  if (type == f32) return pools[0];
  return type == f16 ? pools[1] : pools[2];
}

double garbage(std::uint64_t bits) {
  constexpr std::array<double, 4> kGarbage{kNaN, kInfinity, -kInfinity, 6e4};
  return kGarbage[bits % kGarbage.size()];
}

// Values that conversions stumble over, in place of an ordinary one.
double odd_value(LsePattern pattern, std::uint64_t bits, double value) {
  switch (bits % 8) {
    case 0: return 0.0;
    case 1: return -0.0;
    case 2: return value * 1e-6;
    case 3: return value * 1e-40;
    case 4:
    case 5: return value * 1e4;
    default: break;
  }
  if (pattern != LsePattern::kNaN) return value * 100.0;
  return garbage(bits / 8);
}

class RowSource {
 public:
  RowSource(const MergeCase& merge, std::mt19937_64& engine)
      : merge_(merge), engine_(engine), pool_(pool_of(merge.type)) {}

  void fill(std::byte* row, bool counts) {
    const std::size_t bytes = bytes_of(merge_.type);
    for (std::uint32_t i = 0; i < merge_.head_size; ++i) {
      const std::uint64_t draw = engine_();
      const std::size_t pick = draw % kPoolElements;
      std::memcpy(row + i * bytes, pool_.data() + pick * bytes, bytes);
      const std::uint64_t bits = draw >> 20;
      if (!counts) {
        reference::store_element(merge_.type, row, i, garbage(bits));
      } else if (merge_.pattern != LsePattern::kOrdinary && bits % 16 == 0) {
        const double value = reference::load_element(merge_.type, row, i);
        reference::store_element(merge_.type, row, i, limited(bits, value));
      }
    }
    if (!counts || merge_.pattern != LsePattern::kGroups) return;
    for (std::uint32_t i = 0; i < merge_.head_size; i += kBlock) fill_block(row, i, engine_());
  }

 private:
  // One block as a whole that is zero, not a number, tiny, huge, or has one large element.
  void fill_block(std::byte* row, std::uint32_t begin, std::uint64_t bits) {
    const std::uint32_t end = std::min(begin + kBlock, merge_.head_size);
    const std::uint32_t chosen = begin + static_cast<std::uint32_t>(bits >> 32) % (end - begin);
    const auto scale_all = [&](double factor) {
      for (std::uint32_t i = begin; i < end; ++i) {
        const double value = reference::load_element(merge_.type, row, i);
        reference::store_element(merge_.type, row, i, value * factor);
      }
    };
    const auto choose = [&](double value) {
      reference::store_element(merge_.type, row, chosen, value);
    };
    switch (bits % 12) {
      case 0: return scale_all(0.0);
      case 1: return scale_all(kNaN);
      case 2: return choose(kInfinity);
      case 3: return choose(-kInfinity);
      case 4: return choose(kNaN);
      case 5: return choose(merge_.type == f16 ? 65504.0 : -3.3e38);
      case 6: return scale_all(merge_.type == f16 ? 1e-7 : 1e-12);
      case 7: return scale_all(merge_.type == f16 ? 1e-4 : 2e-10);
      case 8: return choose(power_boundary(bits, 0));
      case 9: return choose(power_boundary(bits, 1));
      case 10: return choose(power_boundary(bits, -1));
      default: return;
    }
  }

  // 448 * 2^k, where power-of-two scales step, or the representable value next to it.
  double power_boundary(std::uint64_t bits, int away) const {
    const double value = std::ldexp(448.0, static_cast<int>((bits >> 8) % 7) - 6);
    const int mantissa_bits =
        merge_.type == f32 ? 23 : reference::format_of(merge_.type).mantissa_bits;
    const double step = std::ldexp(value / 1.75, -mantissa_bits);
    return (bits >> 16) % 2 == 0 ? value + away * step : -value - away * step;
  }

  // fp16 ends at 65504: rounding to infinity is no part of what is tested.
  double limited(std::uint64_t bits, double value) const {
    const double odd = odd_value(merge_.pattern, bits / 16, value);
    if (merge_.type != f16 || !std::isfinite(odd)) return odd;
    return std::clamp(odd, -6e4, 6e4);
  }

  const MergeCase& merge_;
  std::mt19937_64& engine_;
  const std::vector<std::byte>& pool_;
};

bool is_empty(float lse) { return std::isinf(lse); }

// True if the side with LSE `mine` has no say beside one with `other`.
bool is_dead(float mine, float other) {
  if (std::isnan(mine) || std::isnan(other) || is_empty(other)) return false;
  return is_empty(mine) || other - mine > kDrowned;
}

}  // namespace

MergeInputs make_inputs(const MergeCase& merge) {
  std::mt19937_64 engine(merge.seed);
  MergeInputs inputs;
  LseSource lses(merge.pattern, engine);
  for (std::uint64_t i = 0; i < merge.rows(); ++i) {
    const Lses drawn = lses.draw();
    inputs.prefix_lse.push_back(drawn.prefix);
    inputs.suffix_lse.push_back(drawn.suffix);
  }
  inputs.prefix.assign(merge.input_bytes(), std::byte{0xFF});
  inputs.suffix.assign(merge.input_bytes(), std::byte{0xFF});
  const std::size_t stride_bytes = merge.input_stride * bytes_of(merge.type);
  RowSource rows(merge, engine);
  for (std::uint64_t row = 0; row < merge.rows(); ++row) {
    const std::uint64_t token = row / merge.heads;
    const std::uint64_t lse = row % merge.heads * merge.tokens + token;
    const bool has_context = token < merge.context_tokens();
    if (!has_context) inputs.prefix_lse[lse] = kNaN;
    const float prefix = inputs.prefix_lse[lse];
    const float suffix = inputs.suffix_lse[lse];
    rows.fill(inputs.prefix.data() + row * stride_bytes, has_context && !is_dead(prefix, suffix));
    rows.fill(inputs.suffix.data() + row * stride_bytes, !has_context || !is_dead(suffix, prefix));
  }
  return inputs;
}

}  // namespace jit::test
