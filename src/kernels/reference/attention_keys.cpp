#include "kernels/reference/attention_keys.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <limits>

#include "kernels/reference/rounding.hpp"

namespace jit::inline v1::reference {
namespace {

template <class Code>
Code code_at(const void* data, std::int64_t index) {
  Code code;
  std::memcpy(&code, static_cast<const Code*>(data) + index, sizeof(Code));
  return code;
}

void load_bf16(const void* data, std::int64_t first, std::int64_t count, double* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint32_t bits = code_at<std::uint16_t>(data, first + i);
    to[i] = static_cast<double>(std::bit_cast<float>(bits << 16));
  }
}

void load_halves(const FloatFormat& format, const void* data, std::int64_t first,
                 std::int64_t count, double* to) {
  for (std::int64_t i = 0; i < count; ++i) {
    to[i] = value_of(format, code_at<std::uint16_t>(data, first + i));
  }
}

using Values = std::array<double, 256>;

Values values_of(const FloatFormat& format) {
  Values values{};
  for (std::uint32_t code = 0; code < values.size(); ++code) {
    values[code] = value_of(format, code);
  }
  return values;
}

const Values kE4M3Values = values_of(kE4M3Format);
const Values kE5M2Values = values_of(kE5M2Format);

void load_bytes(DType type, const void* data, std::int64_t first, std::int64_t count, double* to) {
  const Values& values = type == DType::kE4M3 ? kE4M3Values : kE5M2Values;
  const auto* const codes = static_cast<const std::uint8_t*>(data) + first;
  for (std::int64_t i = 0; i < count; ++i) to[i] = values[codes[i]];
}

std::int64_t length_of(const AttentionKeys& part, std::int64_t sequence) {
  if (part.used != nullptr) return part.used[sequence];
  return part.cu_seqlens[sequence + 1] - part.cu_seqlens[sequence];
}

}  // namespace

AttentionTokens tokens_of(const AttentionProblem& problem, std::int64_t sequence) {
  const std::int64_t begin = problem.cu_seqlens_q[sequence];
  if (problem.used_q != nullptr) return {begin, begin + problem.used_q[sequence]};
  return {begin, problem.cu_seqlens_q[sequence + 1]};
}

std::int64_t sequence_of(const AttentionProblem& problem, std::int64_t token) {
  const std::int32_t* const begin = problem.cu_seqlens_q;
  const std::int32_t* const end = begin + problem.num_sequences + 1;
  const std::int64_t sequence = std::upper_bound(begin, end, token) - begin - 1;
  if (sequence < 0 || sequence >= problem.num_sequences) return -1;
  return token < tokens_of(problem, sequence).end ? sequence : -1;
}

double descale_of(const AttentionDescales& descales, std::int64_t sequence, std::int64_t kv_head) {
  if (descales.data == nullptr) return 1.0;
  const std::int64_t at = sequence * descales.sequence_stride + kv_head * descales.head_stride;
  return static_cast<double>(descales.data[at]);
}

double sink_of(const AttentionProblem& problem, std::int64_t head) {
  if (problem.sinks.data == nullptr) return -std::numeric_limits<double>::infinity();
  return load_element(problem.sinks.type, problem.sinks.data, static_cast<std::uint64_t>(head));
}

void load_head(DType type, const AttentionOperand& from, const AttentionRow& row,
               std::int64_t elements, double* to) {
  const std::int64_t first = row.token * from.token_stride + row.head * from.head_stride;
  if (type == DType::kBF16) return load_bf16(from.data, first, elements, to);
  if (bytes_of(type) == 1) return load_bytes(type, from.data, first, elements, to);
  load_halves(format_of(type), from.data, first, elements, to);
}

AttentionSequenceKeys::AttentionSequenceKeys(const AttentionProblem& problem, std::int64_t sequence,
                                             std::int64_t kv_head)
    : problem_(problem),
      sequence_(sequence),
      kv_head_(kv_head),
      key_(static_cast<std::size_t>(problem.head_dim)) {
  for (const AttentionKeys& part : problem.keys) count_ += length_of(part, sequence);
}

AttentionKeyRange AttentionSequenceKeys::seen_by(std::int64_t token) const {
  const AttentionTokens tokens = tokens_of(problem_, sequence_);
  const std::int64_t diagonal = token - tokens.begin + count_ - tokens.count();
  std::int64_t begin = 0;
  std::int64_t end = count_;
  if (problem_.window_left >= 0) begin = diagonal - problem_.window_left;
  if (problem_.window_right >= 0) end = diagonal + problem_.window_right + 1;
  if (problem_.causal) end = std::min(end, diagonal + 1);
  begin = std::clamp<std::int64_t>(begin, 0, count_);
  return {begin, std::clamp<std::int64_t>(end, begin, count_)};
}

AttentionSequenceKeys::Place AttentionSequenceKeys::place_of(std::int64_t key) const {
  const AttentionKeys* part = problem_.keys.data();
  for (; key >= length_of(*part, sequence_); ++part) key -= length_of(*part, sequence_);
  const AttentionPages& pages = part->pages;
  if (pages.table == nullptr) return {part, {part->cu_seqlens[sequence_] + key, kv_head_}};
  const std::int64_t entry = sequence_ * pages.table_stride + key / pages.page_size;
  return {part, {key % pages.page_size, kv_head_}, pages.table[entry]};
}

void AttentionSequenceKeys::load(const Place& place, const AttentionOperand& from,
                                 std::int64_t elements, double* to) const {
  AttentionOperand page = from;
  const std::int64_t bytes =
      place.page * from.page_stride * static_cast<std::int64_t>(bytes_of(problem_.type));
  page.data = static_cast<const std::byte*>(from.data) + bytes;
  load_head(problem_.type, page, place.row, elements, to);
}

void AttentionSequenceKeys::load_transposed(std::int64_t first, std::int64_t count,
                                            std::size_t stride, double* to) {
  for (std::int64_t j = 0; j < count; ++j) {
    const Place place = place_of(first + j);
    const bool has_rope = place.part->rope.data != nullptr;
    const std::int64_t own = problem_.head_dim - (has_rope ? problem_.rope_dim : 0);
    load(place, place.part->k, own, key_.data());
    if (has_rope) {
      load_head(problem_.type, place.part->rope, {place.row.token, 0}, problem_.rope_dim,
                key_.data() + own);
    }
    for (std::size_t d = 0; d < key_.size(); ++d)
      to[d * stride + static_cast<std::size_t>(j)] = key_[d];
  }
}

void AttentionSequenceKeys::load_values(std::int64_t first, std::int64_t count, double* to) const {
  for (std::int64_t j = 0; j < count; ++j) {
    const Place place = place_of(first + j);
    load(place, place.part->v, problem_.head_dim_v, to + j * problem_.head_dim_v);
  }
}

}  // namespace jit::inline v1::reference
