#include "kernels/mla_prefill_operands.hpp"

#include <fmt/format.h>

#include <array>
#include <span>

namespace jit::inline v1::kernels {
namespace {

// ---- Shapes ----

void check_dims(const OperandCheck& check, const MlaPrefillArgs& args) {
  const bool is_known = args.head_dim == args.head_dim_v
                            ? args.head_dim == 128 || args.head_dim == 64
                            : args.head_dim == 192 && args.head_dim_v == 128;
  if (!is_known) {
    check.refuse(
        fmt::format("head_dim is {} and head_dim_v {}; expected 192 and 128, 128 and 128, or 64 "
                    "and 64",
                    args.head_dim, args.head_dim_v));
  }
  if (args.k_rope != nullptr && args.head_dim == kMlaRopeDim) {
    check.refuse("k_rope is given for head_dim 64; expected 128 or 192: give whole keys");
  }
}

void check_type(const OperandCheck& check, const MlaPrefillArgs& args) {
  if (args.output_type == f32 || args.output_type == f16 || args.output_type == bf16) return;
  check.refuse(
      fmt::format("output_type is {}; expected f32, f16 or bf16: FP8 output is asked for by "
                  "output_scale or output_group_size",
                  name_of(args.output_type)));
}

// ---- Memory ----

void check_overlap(const OperandCheck& check, const MlaPrefillArgs& args,
                   const MlaPrefillOperands& operands, std::span<const HeadTensor> tensors) {
  const std::int64_t ends = (args.num_sequences + 1) * 4;
  const ScaleLayout scales = scale_layout_of(operands.fp8);
  const std::array<Memory, 5> written{{
      {"output", args.output,
       operands.output.elements() * static_cast<std::int64_t>(bytes_of(operands.element))},
      {"lse", args.lse, args.lse == nullptr ? 0 : args.num_query_tokens * args.num_heads * 4},
      {"output_group_scales", args.output_group_scales, scales.bytes(args.num_query_tokens)},
      {"work_counters", args.work_counters, args.work_counters == nullptr ? 0 : 8},
      operands.workspace,
  }};
  const std::array<Memory, 7> read{{
      tensors[0].memory(),
      tensors[1].memory(),
      tensors[2].memory(),
      tensors[3].memory(),
      {"cu_seqlens_q", args.cu_seqlens_q, ends},
      {"cu_seqlens_k", operands.cu_seqlens_k, ends},
      {"output_scale", args.output_scale, args.output_scale == nullptr ? 0 : 4},
  }};
  check_apart(check, written, read);
}

}  // namespace

MlaPrefillOperands mla_operands(const OperandCheck& check, const MlaPrefillArgs& args) {
  check_counts(check, {args.num_sequences, args.num_query_tokens, args.num_key_tokens,
                       args.num_heads, args.num_kv_heads, args.num_workers});
  check_dims(check, args);
  check_type(check, args);
  const std::int64_t n = args.num_query_tokens;
  const bool takes_own_keys = args.cu_seqlens_k == nullptr && args.num_key_tokens == 0;
  const std::int64_t m = takes_own_keys ? n : args.num_key_tokens;
  const std::int64_t kv_heads = args.num_kv_heads == 0 ? args.num_heads : args.num_kv_heads;
  const std::int64_t rope = args.k_rope == nullptr ? 0 : kMlaRopeDim;
  MlaPrefillOperands operands;
  operands.q =
      with_defaults({n, args.num_heads, args.head_dim, args.q_token_stride, args.q_head_stride});
  operands.k =
      with_defaults({m, kv_heads, args.head_dim - rope, args.k_token_stride, args.k_head_stride});
  operands.v =
      with_defaults({m, kv_heads, args.head_dim_v, args.v_token_stride, args.v_head_stride});
  operands.k_rope = with_defaults({m, 1, rope, args.k_rope_token_stride, 0});
  operands.output = with_defaults(
      {n, args.num_heads, args.head_dim_v, args.output_token_stride, args.output_head_stride});
  operands.cu_seqlens_k = args.cu_seqlens_k == nullptr ? args.cu_seqlens_q : args.cu_seqlens_k;
  operands.softmax_scale = softmax_scale_or_default(check, args.softmax_scale, args.head_dim);
  operands.element = has_fp8_output(args) ? e4m3 : args.output_type;
  operands.fp8 = fp8_output_of(args);
  operands.fp8.tokens = n;
  operands.fp8.width = args.head_dim_v;
  operands.fp8.width_name = "head_dim_v";
  check_fp8_shape(check, operands.fp8);
  return operands;
}

void check_mla_memory(const OperandCheck& check, const MlaPrefillArgs& args,
                      const MlaPrefillOperands& operands) {
  const std::array<HeadTensor, 5> tensors{{
      {"q", args.q, operands.q},
      {"k", args.k, operands.k},
      {"v", args.v, operands.v},
      {"k_rope", args.k_rope, operands.k_rope},
      {"output", args.output, operands.output,
       static_cast<std::int64_t>(bytes_of(operands.element))},
  }};
  for (const HeadTensor& tensor : tensors) {
    if (tensor.layout.width != 0) check_tensor(check, tensor);
  }
  check_rows_apart(check, operands.output);
  check_fp8_memory(check, operands.fp8);
  check.pointer("cu_seqlens_q", args.cu_seqlens_q, 4);
  check.pointer("cu_seqlens_k", operands.cu_seqlens_k, 4);
  if (args.lse != nullptr) check.pointer("lse", args.lse, 4);
  if (args.work_counters != nullptr) check.pointer("work_counters", args.work_counters, 4);
  check_overlap(check, args, operands, std::span(tensors).first(4));
}

}  // namespace jit::inline v1::kernels
