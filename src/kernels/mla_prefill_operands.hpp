// What mla_prefill makes of its operands: defaults filled in, and everything checked.
#pragma once

#include <cstdint>

#include "jit/kernels/mla_prefill.hpp"
#include "kernels/attention_operands.hpp"
#include "kernels/fp8_output.hpp"
#include "kernels/operands.hpp"

namespace jit::inline v1::kernels {

inline constexpr std::int64_t kMlaRopeDim = 64;

// MlaPrefillArgs with every default filled in.
struct MlaPrefillOperands {
  HeadLayout q, k, v, output;
  HeadLayout k_rope;  // of width 0 if the keys are whole
  const std::int32_t* cu_seqlens_k = nullptr;
  float softmax_scale = 0;
  DType element = DType::kBF16;  // of the output as it is written
  Fp8Output fp8;
  Memory workspace;  // of a chain that this call is part of; written
};

// Errors: kInvalidArgument for shapes that mla_prefill does not take; memory is not looked at.
MlaPrefillOperands mla_operands(const OperandCheck& check, const MlaPrefillArgs& args);

// Whether there is memory behind the shapes, strides that fit, and what is written lies apart from
// everything else. Requires: !has_nothing_to_do(args).
void check_mla_memory(const OperandCheck& check, const MlaPrefillArgs& args,
                      const MlaPrefillOperands& operands);

inline bool has_nothing_to_do(const MlaPrefillArgs& args) noexcept {
  return args.num_query_tokens == 0 || args.num_heads == 0 || args.num_sequences == 0;
}

}  // namespace jit::inline v1::kernels
