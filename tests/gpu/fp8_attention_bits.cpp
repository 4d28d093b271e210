#include "gpu/fp8_attention_bits.hpp"

namespace jit::test {
namespace {

std::vector<std::byte> copy_of(const Image& image) {
  return {image.payload().begin(), image.payload().end()};
}

// The result of one head of one token.
std::vector<std::byte> row_of(const Fp8Rows& rows, std::int64_t token, std::int64_t head) {
  const Fp8Case& fp8 = rows.fp8;
  const std::size_t element = bytes_of(fp8.output_type());
  const std::size_t place = fp8.output().at(rows.first + token, head);
  const auto first = rows.bits.output.begin() + static_cast<std::ptrdiff_t>(place * element);
  std::vector<std::byte> row(first, first + fp8.head_dim_v * static_cast<std::ptrdiff_t>(element));
  if (!fp8.has_lse) return row;
  const auto lse = rows.bits.lse.begin() + (head * fp8.query_tokens() + rows.first + token) * 4;
  row.insert(row.end(), lse, lse + 4);
  return row;
}

// The first token of every sequence.
std::vector<std::int64_t> first_tokens(const Fp8Case& fp8) {
  std::vector<std::int64_t> firsts;
  std::int64_t next = fp8.outside;
  for (const std::int32_t length : fp8.query_lengths) {
    firsts.push_back(next);
    next += length + std::max<std::int64_t>(fp8.query_slack, 0);
  }
  return firsts;
}

}  // namespace

Fp8Bits bits_of(const Fp8Outcome& outcome) {
  return {copy_of(outcome.output), copy_of(outcome.lse)};
}

int other_rows(const Fp8Rows& a, const Fp8Rows& b, std::int64_t tokens) {
  int others = 0;
  for (std::int64_t token = 0; token < tokens; ++token) {
    for (std::int64_t head = 0; head < a.fp8.heads; ++head) {
      others += row_of(a, token, head) != row_of(b, token, head);
    }
  }
  return others;
}

int other_rows(const Fp8Case& a, const Fp8Bits& a_bits, const Fp8Case& b, const Fp8Bits& b_bits) {
  const std::vector<std::int64_t> a_first = first_tokens(a);
  const std::vector<std::int64_t> b_first = first_tokens(b);
  int others = 0;
  for (std::size_t i = 0; i < a_first.size(); ++i) {
    others += other_rows({a, a_bits, a_first[i]}, {b, b_bits, b_first[i]}, a.query_lengths[i]);
  }
  return others;
}

}  // namespace jit::test
