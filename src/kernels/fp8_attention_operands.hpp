// What fp8_attention makes of its operands: defaults filled in, and everything checked.
#pragma once

#include <cstdint>

#include "jit/kernels/fp8_attention.hpp"
#include "kernels/attention_operands.hpp"
#include "kernels/operands.hpp"

namespace jit::inline v1::kernels {

inline constexpr std::int64_t kMaxSplits = 128;
inline constexpr std::int64_t kWorkspaceAlignment = 256;
inline constexpr std::int64_t kUnboundedWindow = std::int64_t{1} << 30;  // Params: the most

// Fp8AttentionArgs with every default filled in, as far as shapes say; splits are left to
// fp8_attention_splits.hpp.
struct Fp8AttentionOperands {
  HeadLayout q, k, v, output;
  const std::int32_t* cu_seqlens_k = nullptr;  // null with pages
  std::int64_t page_table_stride = 0;
  std::int64_t page_rows = 0;  // kPageRows
  std::int64_t pack = 1;       // kPackGqa
  std::int64_t heads_per_kv = 1;
  std::int64_t max_query_tokens = 0;  // of a sequence
  std::int64_t max_key_tokens = 0;
  // Masks as kernels know them: CAUSAL is a window that ends at a query's own place.
  bool causal = false;
  bool has_window = false;
  std::int64_t window_left = kUnboundedWindow;
  std::int64_t window_right = kUnboundedWindow;
  float softmax_scale = 0;
  DType element = DType::kBF16;  // of the output

  std::int64_t max_query_rows() const noexcept { return max_query_tokens * pack; }
};

// Errors: kInvalidArgument for shapes that fp8_attention does not take; memory is not looked at.
Fp8AttentionOperands fp8_attention_operands(const OperandCheck& check,
                                            const Fp8AttentionArgs& args);

// Whether there is memory behind the shapes, strides that fit, and what is written lies apart from
// everything else. Requires: !has_nothing_to_do(args).
void check_fp8_attention_memory(const OperandCheck& check, const Fp8AttentionArgs& args,
                                const Fp8AttentionOperands& operands);

inline bool has_nothing_to_do(const Fp8AttentionArgs& args) noexcept {
  return args.num_query_tokens == 0 || args.num_heads == 0 || args.num_sequences == 0;
}

}  // namespace jit::inline v1::kernels
