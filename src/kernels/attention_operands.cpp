#include "kernels/attention_operands.hpp"

#include <fmt/format.h>

#include <cmath>

#include "kernels/workers.hpp"

namespace jit::inline v1::kernels {
namespace {

// A section of heads, on the device a power of two of key heads times the ratio, is below 2^32.
constexpr std::int64_t kMaxHeads = (std::int64_t{1} << 15) - 1;
// Pieces of work are counted in 31 bits: at most n * h / 64 + s * h.
constexpr std::int64_t kMaxRows = (std::int64_t{1} << 31) - 1;
constexpr std::int64_t kMaxHeadsOfSequences = std::int64_t{1} << 30;
// What would be too long is refused, whatever the product.
constexpr std::int64_t kTooLong = std::int64_t{1} << 39;

std::int64_t stride_of_all(std::int64_t count, std::int64_t stride) {
  const bool fits = stride > 0 && count < kTooLong / stride;
  return fits ? count * stride : kTooLong;
}

void check_stride(const OperandCheck& check, const HeadTensor& tensor, const char* kind,
                  std::int64_t stride, std::int64_t count) {
  const std::int64_t pack = 16 / tensor.element_bytes;
  const std::int64_t width = tensor.layout.width;
  if (stride >= width && stride < std::int64_t{1} << tensor.stride_bits && stride % pack == 0 &&
      (count <= 1 || stride <= kMaxOffset / 16 / (count - 1))) {
    return;
  }
  check.refuse(
      fmt::format("{}_{}_stride is {}; expected a multiple of {} from {} to 2^{} - {}, and offsets "
                  "below 2^56 for {} {}s: give 0 for no gaps",
                  tensor.name, kind, stride, pack, width, tensor.stride_bits, pack, count, kind));
}

}  // namespace

HeadLayout with_defaults(HeadLayout layout) {
  if (layout.head_stride == 0) layout.head_stride = layout.width;
  if (layout.token_stride == 0) {
    layout.token_stride = stride_of_all(layout.heads, layout.head_stride);
  }
  // A single page is not stepped over.
  if (layout.page_stride == 0 && layout.pages > 1) {
    layout.page_stride = stride_of_all(layout.tokens, layout.token_stride);
  }
  return layout;
}

void check_tensor(const OperandCheck& check, const HeadTensor& tensor) {
  // A token stride that was left out follows from the head stride, a page stride from that.
  check_stride(check, tensor, "head", tensor.layout.head_stride, tensor.layout.heads);
  check_stride(check, tensor, "token", tensor.layout.token_stride, tensor.layout.tokens);
  if (tensor.layout.pages > 1) {
    check_stride(check, tensor, "page", tensor.layout.page_stride, tensor.layout.pages);
  }
  if (!tensor.layout.is_empty()) check.pointer(tensor.name, tensor.first, 16);
}

void check_rows_apart(const OperandCheck& check, const HeadLayout& output) {
  const bool heads_within = output.head_stride <= output.token_stride;
  const std::int64_t inner = heads_within ? output.head_stride : output.token_stride;
  const std::int64_t outer = heads_within ? output.token_stride : output.head_stride;
  const std::int64_t inner_count = heads_within ? output.heads : output.tokens;
  const std::int64_t outer_count = heads_within ? output.tokens : output.heads;
  if (outer_count == 1 || inner_count == 1 || outer >= (inner_count - 1) * inner + output.width) {
    return;
  }
  check.refuse(
      fmt::format("output_token_stride is {} and output_head_stride {}: with {} tokens of {} heads "
                  "rows overlap; give 0 and 0 for no gaps",
                  output.token_stride, output.head_stride, output.tokens, output.heads));
}

void check_apart(const OperandCheck& check, std::span<const Memory> written,
                 std::span<const Memory> read) {
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i].bytes == 0) continue;
    for (const Memory& other : read) check.apart(written[i], {other});
    for (const Memory& other : written.first(i)) check.apart(written[i], {other});
  }
}

void check_counts(const OperandCheck& check, const AttentionCounts& counts) {
  check.number("num_sequences", counts.num_sequences, 0, kMaxTokens);
  check.number("num_query_tokens", counts.num_query_tokens, 0, kMaxTokens);
  check.number("num_key_tokens", counts.num_key_tokens, 0, kMaxTokens);
  check.number("num_heads", counts.num_heads, 0, kMaxHeads);
  check.number("num_kv_heads", counts.num_kv_heads, 0, kMaxHeads);
  check.number("num_workers", counts.num_workers, 0, kMaxWorkers);
  if (counts.num_kv_heads != 0 && counts.num_heads % counts.num_kv_heads != 0) {
    check.refuse(fmt::format("num_heads is {}; expected a multiple of num_kv_heads ({})",
                             counts.num_heads, counts.num_kv_heads));
  }
  const auto check_product = [&](const char* name, std::int64_t count, std::int64_t last,
                                 const char* power) {
    if (counts.num_heads == 0 || count <= last / counts.num_heads) return;
    check.refuse(
        fmt::format("{} * num_heads is {} * {}; expected less than {}: split the heads over "
                    "several launches",
                    name, count, counts.num_heads, power));
  };
  check_product("num_query_tokens", counts.num_query_tokens, kMaxRows, "2^31");
  check_product("num_sequences", counts.num_sequences, kMaxHeadsOfSequences - 1, "2^30");
}

float softmax_scale_or_default(const OperandCheck& check, float given, std::int64_t head_dim) {
  if (given == 0) return static_cast<float>(1 / std::sqrt(static_cast<double>(head_dim)));
  if (given >= 0x1p-64F && given <= 0x1p64F) return given;
  check.refuse(
      fmt::format("softmax_scale is {}; expected 2^-64 to 2^64, or 0 for head_dim^-0.5", given));
}

}  // namespace jit::inline v1::kernels
