#include "kernels/mla_prefill_model.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

#include "kernels/reference/element.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kBlockM = 128;
constexpr std::int64_t kBlockN = 128;
constexpr std::int64_t kRopeDim = 64;
constexpr std::int64_t kWarp = 32;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

float from_bf16(std::uint16_t code) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(code) << 16U);
}

double rounded_to(const reference::FloatFormat& format, double value) {
  return reference::decode(format,
                           reference::encode(format, value, reference::Overflow::kSaturate));
}

float to_bf16(float value) {
  if (std::isnan(value)) return value;
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::bit_cast<float>((bits + 0x7FFFU + ((bits >> 16U) & 1U)) & 0xFFFF0000U);
}

float dot(const float* a, const float* b, std::int64_t count) {
  std::array<float, 8> sums{};
  for (std::int64_t i = 0; i < count; i += 8) {
    for (std::size_t j = 0; j < 8; ++j) {
      sums[j] += a[i + static_cast<std::int64_t>(j)] * b[i + static_cast<std::int64_t>(j)];
    }
  }
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

std::vector<float> dense(const HeadsExtent& extent, const std::vector<std::uint16_t>& data) {
  std::vector<float> values;
  for (std::int64_t token = 0; token < extent.tokens; ++token) {
    for (std::int64_t head = 0; head < extent.heads; ++head) {
      for (std::int64_t i = 0; i < extent.dim; ++i) {
        values.push_back(from_bf16(data[extent.at(token, head) + static_cast<std::size_t>(i)]));
      }
    }
  }
  return values;
}

template <class T>
Image image_of(const std::vector<T>& values) {
  Image image;
  image.front_bytes = kGuardBytes;
  image.bytes.assign(values.size() * sizeof(T) + 2 * kGuardBytes, kGuardByte);
  const auto bytes = std::as_bytes(std::span(values));
  std::copy(bytes.begin(), bytes.end(), image.payload().begin());
  return image;
}

// A sequence, and how many keys its rows see.
struct Sequence {
  std::int64_t first_query, queries, first_key, keys;
};

// What is known of a row after its keys.
struct Row {
  std::vector<float> output;  // not yet divided
  float largest = -kInfinity;
  float sum = 0;
};

class Model {
 public:
  Model(const MlaCase& mla, const MlaInputs& inputs, MlaFault fault)
      : mla_(mla),
        fault_(fault),
        q_(dense(mla.queries(), inputs.q)),
        k_(dense(mla.keys(), inputs.k)),
        v_(dense(mla.values(), inputs.v)),
        rope_(dense(mla.rope(), inputs.k_rope)),
        element_(bytes_of(mla.output_type())),
        output_(mla.output().elements() * element_, mla.poison),
        lse_(static_cast<std::size_t>(mla.query_tokens() * mla.heads) * 4, mla.poison),
        scales_(static_cast<std::size_t>(mla.scale_elements()) * 4, mla.poison) {
    const double scale = is(MlaFault::kScaleOfHeadDim)
                             ? 1 / std::sqrt(static_cast<double>(mla.head_dim))
                             : mla.effective_scale();
    const double base = is(MlaFault::kNaturalExponent) ? 1 : std::numbers::log2e;
    scale_log2_ = static_cast<float>(scale * base);
  }

  MlaOutcome run(const MlaInputs& inputs) {
    const std::vector<std::int32_t>& cu_q = inputs.cu_seqlens_q;
    const std::vector<std::int32_t>& cu_k =
        is(MlaFault::kLengthsOfQueries) ? cu_q : inputs.cu_seqlens_k;
    for (std::int64_t i = 0; i < mla_.sequences(); ++i) {
      const auto at = static_cast<std::size_t>(i);
      const Sequence sequence{cu_q[at], cu_q[at + 1] - cu_q[at], cu_k[at], cu_k[at + 1] - cu_k[at]};
      if (i >= kWarp && is(MlaFault::kSequencesAfterAWarp)) continue;
      for (std::int64_t head = 0; head < mla_.heads; ++head) attend(sequence, head);
    }
    std::vector<std::uint32_t> counters(2);
    if (mla_.counters && is(MlaFault::kCountersLeft)) counters[1] = 132;
    return {image_of(inputs.q),
            image_of(inputs.k),
            image_of(inputs.v),
            image_of(inputs.k_rope),
            image_of(inputs.cu_seqlens_q),
            image_of(inputs.cu_seqlens_k),
            image_of(output_),
            image_of(lse_),
            image_of(scales_),
            image_of(counters)};
  }

 private:
  bool is(MlaFault fault) const noexcept { return fault_ == fault; }

  void attend(const Sequence& sequence, std::int64_t head) {
    std::int64_t rows = sequence.queries;
    if (is(MlaFault::kLastRowMissing) && rows > 1) --rows;
    for (std::int64_t row = 0; row < rows; ++row) {
      store(sequence, row, head, row_of(sequence, row, head));
    }
    if (!is(MlaFault::kRowsOfWholeBlock)) return;
    const std::int64_t end = (rows + kBlockM - 1) / kBlockM * kBlockM;
    for (std::int64_t row = rows; row < end; ++row) {
      if (sequence.first_query + row >= mla_.query_tokens()) break;
      store(sequence, row, head, row_of(sequence, row, head));
    }
  }

  // Keys that a row sees.
  std::int64_t limit_of(const Sequence& sequence, std::int64_t row) const {
    std::int64_t limit = sequence.keys;
    if (mla_.causal && !is(MlaFault::kNoMask)) {
      limit = row + 1;
      if (!is(MlaFault::kMaskFromTheTop)) limit += sequence.keys - sequence.queries;
      if (is(MlaFault::kSeesOneMore)) ++limit;
      if (is(MlaFault::kSeesOneLess) && limit > 1) --limit;
      limit = std::clamp<std::int64_t>(limit, 0, sequence.keys);
    }
    if (is(MlaFault::kKeyAfterHalfTile) && limit % kBlockN == kBlockN / 2 + 1) --limit;
    if (is(MlaFault::kKeyAfterTile) && limit > kBlockN && limit % kBlockN == 1) --limit;
    return limit;
  }

  Row row_of(const Sequence& sequence, std::int64_t row, std::int64_t head) const {
    Row result;
    result.output.resize(static_cast<std::size_t>(mla_.head_dim_v));
    const std::int64_t block_end =
        std::min((row / kBlockM + 1) * kBlockM, std::max(sequence.queries, row + 1));
    const std::int64_t tiles = (limit_of(sequence, block_end - 1) + kBlockN - 1) / kBlockN;
    const std::int64_t limit = limit_of(sequence, row);
    for (std::int64_t tile = tiles - 1; tile >= 0; --tile) {
      if (is(MlaFault::kFirstTileSkipped) && tile == 0 && tiles >= 3) continue;
      add_tile(sequence, {row, head, tile, limit}, result);
    }
    return result;
  }

  struct Step {
    std::int64_t row, head, tile, limit;
  };

  void add_tile(const Sequence& sequence, const Step& step, Row& row) const {
    const float* const query =
        q_.data() + ((sequence.first_query + step.row) * mla_.heads + step.head) * mla_.head_dim;
    const std::int64_t tile =
        is(MlaFault::kTileTwice) && step.tile == 1 ? step.tile - 1 : step.tile;
    std::array<float, kBlockN> scores{};
    std::array<std::int64_t, kBlockN> tokens{};
    float largest = row.largest;
    for (std::int64_t i = 0; i < kBlockN; ++i) {
      const std::int64_t key = step.tile * kBlockN + i;
      const bool seen =
          key < step.limit || (is(MlaFault::kSeesTilesToTheirEnd) && step.limit == sequence.keys);
      auto& score = scores[static_cast<std::size_t>(i)];
      tokens[static_cast<std::size_t>(i)] = sequence.first_key + tile * kBlockN + i;
      score = seen ? score_of(query, sequence, tokens[static_cast<std::size_t>(i)], step.head)
                   : -kInfinity;
      largest = std::fmax(largest, score);
    }
    // No key so far: weights of 0. A NaN stays one.
    const float base = largest == -kInfinity ? 0 : largest;
    const float correction = std::exp2((row.largest - base) * scale_log2_);
    const bool was_empty = row.largest == -kInfinity;
    if (!was_empty && !is(MlaFault::kSumNotCorrected)) row.sum *= correction;
    if (!was_empty && !is(MlaFault::kOutputNotCorrected)) {
      for (float& value : row.output) value *= correction;
    }
    row.largest = largest;
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const bool is_beyond = step.tile * kBlockN + static_cast<std::int64_t>(i) >= sequence.keys;
      const bool counts = scores[i] != -kInfinity;
      if (!counts && !(is_beyond && is(MlaFault::kValuesNotCleared))) continue;
      add_key(std::exp2((scores[i] - base) * scale_log2_), {tokens[i], step.head, i == 0}, row);
    }
  }

  struct Key {
    std::int64_t token, head;
    bool is_first;  // of its tile
  };

  void add_key(float weight, const Key& key, Row& row) const {
    if (!(key.is_first && is(MlaFault::kSumWithoutOne))) row.sum += weight;
    // Beyond the tensor there are zeros.
    if (key.token >= mla_.key_tokens()) return;
    const float rounded =
        is(MlaFault::kCoarseWeights)
            ? static_cast<float>(rounded_to(reference::kE4M3Format, static_cast<double>(weight)))
            : to_bf16(weight);
    const float* const value =
        v_.data() + (key.token * mla_.kv_heads + kv_head(key.head)) * mla_.head_dim_v;
    for (std::size_t i = 0; i < row.output.size(); ++i) row.output[i] += rounded * value[i];
  }

  std::int64_t kv_head(std::int64_t head) const {
    if (is(MlaFault::kKeyHeadByRemainder)) return head % mla_.kv_heads;
    return head / (mla_.heads / mla_.kv_heads);
  }

  float score_of(const float* query, const Sequence& sequence, std::int64_t token,
                 std::int64_t head) const {
    if (token >= mla_.key_tokens()) return 0;
    const std::int64_t dim = mla_.keys().dim;
    const float* const key = k_.data() + (token * mla_.kv_heads + kv_head(head)) * dim;
    const float score = dot(query, key, dim);
    if (!mla_.rope_apart || is(MlaFault::kRopeMissing)) return score;
    const std::int64_t from =
        is(MlaFault::kRopeOfOtherSequence) ? token - sequence.first_key : token;
    return score + dot(query + dim, rope_.data() + from * kRopeDim, kRopeDim);
  }

  void store(const Sequence& sequence, std::int64_t row, std::int64_t head, const Row& result) {
    const std::int64_t token = sequence.first_query + row;
    const bool is_empty = result.sum == 0;
    if (is_empty && is(MlaFault::kEmptyRowsForgotten)) return;
    store_lse(token, head, lse_of(result));
    const float inverse = is_empty ? 0 : 1 / result.sum;
    std::vector<float> values = result.output;
    if (mla_.group != 0) {
      for (float& value : values) value *= inverse;
      store_groups(token, head, values);
      return;
    }
    for (std::size_t i = 0; i < values.size(); ++i) {
      store_element(at(token, head) + i, scaled(values[i], inverse));
    }
  }

  float lse_of(const Row& row) const {
    if (row.sum == 0) return is(MlaFault::kEmptyLseZero) ? 0 : -kInfinity;
    const float largest = is(MlaFault::kLseWithoutMaximum) ? 0 : row.largest * scale_log2_;
    float lse = largest + std::log2(row.sum);
    if (!is(MlaFault::kLseInBase2)) lse *= std::numbers::ln2_v<float>;
    if (is(MlaFault::kLseOfScaledOutput)) lse -= std::log(mla_.scale.value_or(1));
    return lse;
  }

  void store_lse(std::int64_t token, std::int64_t head, float lse) {
    if (mla_.has_lse ? is(MlaFault::kLseMissing) : !is(MlaFault::kLseUnasked)) return;
    const std::int64_t index =
        is(MlaFault::kLseByToken) ? token * mla_.heads + head : head * mla_.query_tokens() + token;
    std::memcpy(lse_.data() + index * 4, &lse, sizeof(lse));
  }

  // A row's element, divided by the sum and the scale of the tensor.
  float scaled(float value, float inverse) const {
    if (!mla_.scale || is(MlaFault::kScaleIgnored)) return value * inverse;
    if (is(MlaFault::kRoundedTwice)) return to_bf16(value * inverse) * (1 / *mla_.scale);
    return value * (inverse * (1 / *mla_.scale));
  }

  std::size_t at(std::int64_t token, std::int64_t head) const {
    if (!is(MlaFault::kHeadsPacked)) return mla_.output().at(token, head);
    return static_cast<std::size_t>((token * mla_.heads + head) * mla_.head_dim_v);
  }

  void store_element(std::size_t index, float value) {
    if (index >= output_.size() / element_) return;
    if (mla_.fp8()) {
      output_[index] = static_cast<std::byte>(code_of(value));
      return;
    }
    if (is(MlaFault::kTruncated)) {
      value = std::bit_cast<float>(std::bit_cast<std::uint32_t>(value) & 0xFFFF0000U);
    }
    reference::store_element(mla_.type, output_.data(), index, static_cast<double>(value));
  }

  std::uint32_t code_of(float value) const {
    if (std::isnan(value)) return is(MlaFault::kNaNCode) ? 0x7FU : 0x7EU;
    const auto overflow = is(MlaFault::kNotSaturated) ? reference::Overflow::kToInfinity
                                                      : reference::Overflow::kSaturate;
    if (is(MlaFault::kTruncated)) value *= 0.97F;
    return reference::encode(reference::kE4M3Format, static_cast<double>(value), overflow);
  }

  void store_groups(std::int64_t token, std::int64_t head, const std::vector<float>& values) {
    const auto group = static_cast<std::size_t>(mla_.group);
    for (std::size_t first = 0; first < values.size(); first += group) {
      const float scale = scale_of(values, first);
      const float inverse = 1 / scale;
      for (std::size_t i = first; i < first + group; ++i) {
        store_element(at(token, head) + i, values[i] * inverse);
      }
      const auto column = static_cast<std::int64_t>(
          static_cast<std::size_t>(head) * (values.size() / group) + first / group);
      const std::int64_t index =
          is(MlaFault::kScalesPacked)
              ? token * mla_.scales_per_token() + column
              : token * mla_.scale_token_stride() + column * mla_.scale_group_stride();
      std::memcpy(scales_.data() + index * 4, &scale, sizeof(scale));
    }
  }

  float scale_of(const std::vector<float>& values, std::size_t first) const {
    const auto group = static_cast<std::size_t>(mla_.group);
    std::size_t begin = first;
    std::size_t end = first + group;
    if (is(MlaFault::kScaleOfRow)) {
      begin = 0;
      end = values.size();
    }
    if (is(MlaFault::kScaleOfNeighbour)) begin = (first + group) % values.size();
    if (is(MlaFault::kScaleOfNeighbour)) end = begin + group;
    float largest = 0;
    for (std::size_t i = begin; i < end; ++i) largest = std::fmax(largest, std::fabs(values[i]));
    const bool power = mla_.ue8m0 && !is(MlaFault::kScaleNotPowerOfTwo);
    const float scale = reference::scale_of_group(static_cast<double>(largest), power);
    return is(MlaFault::kScaleRoundedDown) ? scale * (power ? 0.5F : 0.98F) : scale;
  }

  const MlaCase& mla_;
  const MlaFault fault_;
  std::vector<float> q_;
  std::vector<float> k_;
  std::vector<float> v_;
  std::vector<float> rope_;
  std::size_t element_;
  std::vector<std::byte> output_;
  std::vector<std::byte> lse_;
  std::vector<std::byte> scales_;
  float scale_log2_ = 0;
};

}  // namespace

MlaOutcome run_model(const MlaCase& mla, const MlaInputs& inputs, MlaFault fault) {
  return Model(mla, inputs, fault).run(inputs);
}

}  // namespace jit::test
