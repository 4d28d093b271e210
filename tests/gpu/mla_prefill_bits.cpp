#include "gpu/mla_prefill_bits.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/reference/element.hpp"
#include "kernels/reference/merge_attn_states.hpp"

namespace jit::test {
namespace {

std::vector<std::byte> copy_of(const Image& image) {
  return {image.payload().begin(), image.payload().end()};
}

// The result of one head of one token.
std::vector<std::byte> row_of(const MlaRows& rows, std::int64_t token, std::int64_t head) {
  const auto& [mla, bits] = rows;
  const std::size_t element = bytes_of(mla.output_type());
  const auto first =
      bits.output.begin() + static_cast<std::ptrdiff_t>(mla.output().at(token, head) * element);
  std::vector<std::byte> row(first, first + mla.head_dim_v * static_cast<std::ptrdiff_t>(element));
  const auto lse = bits.lse.begin() + (head * mla.query_tokens() + token) * 4;
  row.insert(row.end(), lse, lse + 4);
  return row;
}

float float_at(const MlaBits& bits, std::size_t index) {
  float value = 0;
  std::memcpy(&value, bits.output.data() + index * sizeof(value), sizeof(value));
  return value;
}

}  // namespace

MlaBits bits_of(const MlaOutcome& outcome) {
  return {copy_of(outcome.output), copy_of(outcome.lse), copy_of(outcome.scales)};
}

int other_rows(const MlaRows& a, const MlaRows& b, std::int64_t first, std::int64_t last) {
  int others = 0;
  for (std::int64_t token = first; token < last; ++token) {
    for (std::int64_t head = 0; head < a.mla.heads; ++head) {
      others += row_of(a, token, head) != row_of(b, token, head);
    }
  }
  return others;
}

int other_rows(const MlaRows& a, const MlaRows& b) {
  return other_rows(a, b, 0, a.mla.query_tokens());
}

std::vector<std::byte> rounded_output(const MlaBits& exact, DType type, float inverse_scale) {
  const std::size_t count = exact.output.size() / sizeof(float);
  std::vector<std::byte> to(count * bytes_of(type));
  for (std::size_t i = 0; i < count; ++i) {
    const float value = float_at(exact, i) * inverse_scale;
    reference::store_element(type, to.data(), i, static_cast<double>(value));
  }
  return to;
}

MlaBits grouped_output(const MlaCase& mla, const MlaBits& exact) {
  MlaBits made;
  const std::size_t count = exact.output.size() / sizeof(float);
  const auto group = static_cast<std::size_t>(mla.group);
  made.output.resize(count);
  made.scales.resize(count / group * sizeof(float));
  for (std::size_t first = 0; first < count; first += group) {
    float largest = 0;
    for (std::size_t i = first; i < first + group; ++i) {
      largest = std::max(largest, std::abs(float_at(exact, i)));
    }
    const float scale = reference::scale_of_group(static_cast<double>(largest), mla.ue8m0);
    std::memcpy(made.scales.data() + first / group * sizeof(float), &scale, sizeof(scale));
    for (std::size_t i = first; i < first + group; ++i) {
      const float value = float_at(exact, i) * (1.0F / scale);
      reference::store_element(e4m3, made.output.data(), i, static_cast<double>(value));
    }
  }
  return made;
}

}  // namespace jit::test
