#include "kernels/attention_written.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/reference/element.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace jit::test {

using reference::AttentionRow;

namespace {

constexpr float kPoison = std::bit_cast<float>(0xFFFFFFFFU);

double bf16(double value) {
  const auto& format = reference::kBF16Format;
  return reference::decode(format, reference::encode(format, value));
}

}  // namespace

AttentionWriting::AttentionWriting(const AttentionTrial& trial,
                                   const reference::AttentionReference& reference,
                                   const AttentionFormat& format)
    : trial_(&trial),
      format_(format),
      reference_(&reference),
      head_stride_(trial.shape().dim_v + 8),
      token_stride_(head_stride_ * trial.shape().heads + 16),
      lse_stride_(trial.tokens() + 5) {}

std::size_t AttentionWriting::index(const AttentionRow& row, std::int64_t i) const {
  return static_cast<std::size_t>(row.token * token_stride_ + row.head * head_stride_ + i);
}

float& AttentionWriting::lse(const AttentionRow& row) {
  return lse_[static_cast<std::size_t>(row.head * lse_stride_ + row.token)];
}

float& AttentionWriting::scale(const AttentionRow& row, std::int64_t group) {
  const std::int64_t groups = trial_->shape().dim_v / format_.group;
  const std::int64_t at = (row.head * groups + group) * trial_->tokens() + row.token;
  return scales_[static_cast<std::size_t>(at)];
}

void AttentionWriting::rewrite(const AttentionResult& result, const AttentionFormat& format) {
  const auto elements = static_cast<std::size_t>(trial_->tokens() * token_stride_);
  output_.assign(elements * bytes(), 0xFF);
  unquantised_.assign(elements, 0);
  lse_.assign(static_cast<std::size_t>(trial_->shape().heads * lse_stride_), kPoison);
  scales_.assign(elements, kPoison);
  has_lse_ = true;
  const reference::AttentionProblem problem = trial_->problem();
  const std::int64_t end = problem.cu_seqlens_q[problem.num_sequences];
  for (std::int64_t token = problem.cu_seqlens_q[0]; token < end; ++token) {
    for (std::int64_t head = 0; head < problem.num_heads; ++head) {
      write_row(result, {token, head}, format);
    }
  }
}

void AttentionWriting::write_row(const AttentionResult& result, const AttentionRow& row,
                                 const AttentionFormat& format) {
  const std::int64_t size = trial_->shape().dim_v;
  const double* const values =
      &result
           .output[static_cast<std::size_t>((row.token * trial_->shape().heads + row.head) * size)];
  lse(row) = static_cast<float>(
      result.lse[static_cast<std::size_t>(row.head * trial_->tokens() + row.token)]);
  float scale = format.scale;
  for (std::int64_t i = 0; i < size; ++i) {
    const auto value = static_cast<float>(values[i]);
    const std::size_t at = index(row, i);
    reference::store_element(DType::kBF16, unquantised_.data(), at, static_cast<double>(value));
    if (format.type != DType::kE4M3) {
      reference::store_element(format.type, output_.data(), at, static_cast<double>(value));
      continue;
    }
    if (format.group != 0 && i % format.group == 0) {
      double absmax = 0.0;
      for (std::int64_t j = i; j < i + format.group; ++j) {
        const double magnitude = std::fabs(static_cast<double>(static_cast<float>(values[j])));
        absmax = std::max(absmax, format.through_bf16 ? bf16(magnitude) : magnitude);
      }
      scale =
          static_cast<float>(static_cast<double>(reference::scale_of_group(absmax, format.ue8m0)) *
                             format.scale_factor);
      this->scale(row, i / format.group) = scale;
    }
    write_code(at, value, scale, format);
  }
}

void AttentionWriting::write_code(std::size_t at, float value, float scale,
                                  const AttentionFormat& format) {
  if (format.through_bf16) value = static_cast<float>(bf16(static_cast<double>(value)));
  const float scaled = format.divides ? value / scale : value * (1.0F / scale);
  output_[at] = static_cast<std::uint8_t>(reference::encode(
      reference::kE4M3Format, static_cast<double>(scaled), reference::Overflow::kSaturate));
}

reference::AttentionCheck AttentionWriting::check() const {
  reference::AttentionCheckOptions options;
  options.poisoned = true;
  return check(options);
}

reference::AttentionCheck AttentionWriting::check(reference::AttentionCheckOptions options) const {
  reference::AttentionOutput output;
  output.type = format_.type;
  output.output = output_.data();
  output.token_stride = token_stride_;
  output.head_stride = head_stride_;
  output.lse = has_lse_ ? lse_.data() : nullptr;
  output.lse_head_stride = lse_stride_;
  output.scale = format_.scale;
  output.group_size = format_.group;
  output.ue8m0_scales = format_.ue8m0;
  output.group_scales = scales_.data();
  output.scale_token_stride = 1;
  output.scale_group_stride = trial_->tokens();
  output.unquantised = unquantised_.data();
  return reference::check_attention(trial_->problem(), *reference_, output, options);
}

// ---- Damage ----

void AttentionWriting::unwrite(std::int64_t token, std::int64_t head) {
  std::memset(&output_[index({token, head}, 0) * bytes()], 0xFF,
              static_cast<std::size_t>(trial_->shape().dim_v) * bytes());
}

void AttentionWriting::copy_row(const AttentionRow& from, const AttentionRow& to) {
  std::memcpy(&output_[index(to, 0) * bytes()], &output_[index(from, 0) * bytes()],
              static_cast<std::size_t>(trial_->shape().dim_v) * bytes());
}

void AttentionWriting::put_nan(const AttentionRow& row, std::int64_t i) {
  reference::store_element(format_.type, output_.data(), index(row, i),
                           std::numeric_limits<double>::quiet_NaN());
}

void AttentionWriting::touch(const AttentionRow& row, std::int64_t i) {
  output_[index(row, i) * bytes()] ^= 0x55;
}

void AttentionWriting::change_code(const AttentionRow& row, std::int64_t i) {
  std::uint8_t& low = output_[index(row, i) * bytes()];
  low = static_cast<std::uint8_t>((low & 0x7FU) == 0x7EU ? low - 1U : low ^ 1U);
}

void AttentionWriting::change_largest_codes(const AttentionRow& row, std::int64_t group) {
  for (std::int64_t i = 0; i < group; ++i) {
    std::uint8_t& code = output_[index(row, i)];
    if ((code & 0x7FU) == 0x7EU) --code;
  }
}

void AttentionWriting::double_unquantised(std::int64_t token, std::int64_t head) {
  for (std::int64_t i = 0; i < trial_->shape().dim_v; ++i) {
    const std::size_t at = index({token, head}, i);
    const double value = reference::load_element(DType::kBF16, unquantised_.data(), at);
    reference::store_element(DType::kBF16, unquantised_.data(), at, 2 * value);
  }
}

void AttentionWriting::forget_lse(const AttentionRow& row) { lse(row) = kPoison; }

// ---- What is written ----

AttentionShape usual_attention_shape() {
  return {{1, 40, 129, 0, 140, 6}, {1, 40, 129, 0, 140, 2}};
}

std::vector<AttentionFormat> attention_formats() {
  return {{DType::kBF16},        {DType::kF16},         {DType::kF32},
          {DType::kE4M3, 0.1F},  {DType::kE4M3, 1e-3F}, {DType::kE4M3, 0.125F},
          {DType::kE4M3, 10.0F}, {DType::kE4M3, 0, 64}, {DType::kE4M3, 0, 128, true}};
}

// ---- Parts ----

AttentionResult joined_in_parts(const AttentionTrial& trial, std::int64_t chunks) {
  AttentionResult joined;
  for (std::int64_t part = 0; part <= chunks; ++part) {
    AttentionSlip slip;
    slip.sees = [&](std::int64_t i, std::int64_t j, std::int64_t q, std::int64_t k) {
      const std::int64_t share = (k - q + chunks - 1) / chunks;
      const std::int64_t its = j < k - q ? j / share : chunks;
      return its == part && trial.causal_sees(i, j, q, k);
    };
    AttentionResult next = trial.attend(slip);
    for (double& value : next.output) value = bf16(value);
    if (part == 0) {
      joined = next;
      continue;
    }
    const auto heads = static_cast<std::size_t>(trial.shape().heads);
    const auto size = static_cast<std::size_t>(trial.shape().dim_v);
    for (std::size_t row = 0; row < next.lse.size(); ++row) {
      const std::size_t at = row % heads * static_cast<std::size_t>(trial.tokens()) + row / heads;
      const double sum = std::exp(joined.lse[at]) + std::exp(next.lse[at]);
      for (std::size_t i = row * size; i < (row + 1) * size; ++i) {
        joined.output[i] = bf16((joined.output[i] * std::exp(joined.lse[at]) +
                                 next.output[i] * std::exp(next.lse[at])) /
                                sum);
      }
      joined.lse[at] = std::log(sum);
    }
  }
  return joined;
}

}  // namespace jit::test
