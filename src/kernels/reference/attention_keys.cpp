#include "kernels/reference/attention_keys.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

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

template <class Code>
void load_codes(const FloatFormat& format, const void* data, std::int64_t first, std::int64_t count,
                double* to) {
  for (std::int64_t i = 0; i < count; ++i) to[i] = value_of(format, code_at<Code>(data, first + i));
}

std::int64_t length_of(const AttentionKeys& part, std::int64_t sequence) {
  return part.cu_seqlens[sequence + 1] - part.cu_seqlens[sequence];
}

}  // namespace

std::int64_t sequence_of(const AttentionProblem& problem, std::int64_t token) {
  const std::int32_t* const begin = problem.cu_seqlens_q;
  const std::int32_t* const end = begin + problem.num_sequences + 1;
  const std::int64_t sequence = std::upper_bound(begin, end, token) - begin - 1;
  return sequence < problem.num_sequences ? sequence : -1;
}

void load_head(DType type, const AttentionOperand& from, const AttentionRow& row,
               std::int64_t elements, double* to) {
  const std::int64_t first = row.token * from.token_stride + row.head * from.head_stride;
  if (type == DType::kBF16) return load_bf16(from.data, first, elements, to);
  const FloatFormat& format = format_of(type);
  if (bytes_of(type) == 1) return load_codes<std::uint8_t>(format, from.data, first, elements, to);
  load_codes<std::uint16_t>(format, from.data, first, elements, to);
}

AttentionSequenceKeys::AttentionSequenceKeys(const AttentionProblem& problem, std::int64_t sequence,
                                             std::int64_t kv_head)
    : problem_(problem),
      sequence_(sequence),
      kv_head_(kv_head),
      key_(static_cast<std::size_t>(problem.head_dim)) {
  for (const AttentionKeys& part : problem.keys) count_ += length_of(part, sequence);
}

std::int64_t AttentionSequenceKeys::seen_by(std::int64_t token) const {
  if (!problem_.causal) return count_;
  const std::int64_t left = problem_.cu_seqlens_q[sequence_ + 1] - token;
  return std::clamp<std::int64_t>(count_ - left + 1, 0, count_);
}

AttentionSequenceKeys::Place AttentionSequenceKeys::place_of(std::int64_t key) const {
  const AttentionKeys* part = problem_.keys.data();
  for (; key >= length_of(*part, sequence_); ++part) key -= length_of(*part, sequence_);
  return {part, {part->cu_seqlens[sequence_] + key, kv_head_}};
}

void AttentionSequenceKeys::load_transposed(std::int64_t first, std::int64_t count,
                                            std::size_t stride, double* to) {
  for (std::int64_t j = 0; j < count; ++j) {
    const Place place = place_of(first + j);
    const bool has_rope = place.part->rope.data != nullptr;
    const std::int64_t own = problem_.head_dim - (has_rope ? problem_.rope_dim : 0);
    load_head(problem_.type, place.part->k, place.row, own, key_.data());
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
    load_head(problem_.type, place.part->v, place.row, problem_.head_dim_v,
              to + j * problem_.head_dim_v);
  }
}

}  // namespace jit::inline v1::reference
