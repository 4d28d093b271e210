// What front ends of attention have in common: how heads lie in memory, and what is checked of it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/operands.hpp"

namespace jit::inline v1::kernels {

// Token indices are 32-bit numbers on the device, with room for a tile beyond the last one.
inline constexpr std::int64_t kMaxTokens = std::int64_t{1} << 30;

// Heads are rows of `width` elements: that of head g of token t of page p begins at
// p * page_stride + t * token_stride + g * head_stride.
//
// Units: elements.
struct HeadLayout {
  std::int64_t tokens = 0;  // of a page
  std::int64_t heads = 0;
  std::int64_t width = 0;
  std::int64_t token_stride = 0;
  std::int64_t head_stride = 0;
  std::int64_t pages = 1;
  std::int64_t page_stride = 0;

  bool is_empty() const noexcept { return pages == 0 || tokens == 0 || width == 0; }
  // From the first element to the last one. Requires: layouts that check_tensor passes.
  std::int64_t elements() const noexcept {
    if (is_empty()) return 0;
    return (pages - 1) * page_stride + (tokens - 1) * token_stride + (heads - 1) * head_stride +
           width;
  }
};

// Strides of 0 become those without gaps: of a head its width, of a token all heads' strides, of a
// page all tokens'.
HeadLayout with_defaults(HeadLayout layout);

// An operand of heads.
struct HeadTensor {
  std::string_view name;
  const void* first = nullptr;
  HeadLayout layout;
  std::int64_t element_bytes = 2;
  int stride_bits = 39;  // strides are below 2^stride_bits; tensor maps take 2^40 bytes

  Memory memory() const noexcept { return {name, first, layout.elements() * element_bytes}; }
};

// Strides that fit, and an address where there are elements. Requires: there are heads.
void check_tensor(const OperandCheck& check, const HeadTensor& tensor);

// No two rows of an output overlap: heads lie within tokens, or tokens within heads.
void check_rows_apart(const OperandCheck& check, const HeadLayout& output);

// What is written shares no byte with what is read, nor with what else is written.
void check_apart(const OperandCheck& check, std::span<const Memory> written,
                 std::span<const Memory> read);

// How much there is of a batch; num_kv_heads may be 0, as many as num_heads.
struct AttentionCounts {
  std::int64_t num_sequences = 0;
  std::int64_t num_query_tokens = 0;
  std::int64_t num_key_tokens = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t num_workers = 0;
};
void check_counts(const OperandCheck& check, const AttentionCounts& counts);

// `given`, or for 0 head_dim^-0.5.
float softmax_scale_or_default(const OperandCheck& check, float given, std::int64_t head_dim);

}  // namespace jit::inline v1::kernels
