#include "kernels/mla_prefill_operands.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <span>

#include "kernels/workers.hpp"

namespace jit::inline v1::kernels {
namespace {

// Token indices are 32-bit numbers on the device, with room for a tile beyond the last one.
constexpr std::int64_t kMaxTokens = std::int64_t{1} << 30;
// A section of heads, on the device a power of two of key heads times the ratio, is below 2^32.
constexpr std::int64_t kMaxHeads = (std::int64_t{1} << 15) - 1;
// Pieces of work are counted in 31 bits: at most n * h / 64 + s * h.
constexpr std::int64_t kMaxRows = (std::int64_t{1} << 31) - 1;
constexpr std::int64_t kMaxHeadsOfSequences = std::int64_t{1} << 30;
constexpr std::int64_t kStrideEnd = std::int64_t{1} << 39;  // tensor maps: 2^40 bytes

// ---- Shapes ----

void check_counts(const OperandCheck& check, const MlaPrefillArgs& args) {
  check.number("num_sequences", args.num_sequences, 0, kMaxTokens);
  check.number("num_query_tokens", args.num_query_tokens, 0, kMaxTokens);
  check.number("num_key_tokens", args.num_key_tokens, 0, kMaxTokens);
  check.number("num_heads", args.num_heads, 0, kMaxHeads);
  check.number("num_kv_heads", args.num_kv_heads, 0, kMaxHeads);
  check.number("num_workers", args.num_workers, 0, kMaxWorkers);
  if (args.num_kv_heads != 0 && args.num_heads % args.num_kv_heads != 0) {
    check.refuse(fmt::format("num_heads is {}; expected a multiple of num_kv_heads ({})",
                             args.num_heads, args.num_kv_heads));
  }
  const auto check_product = [&](const char* name, std::int64_t count, std::int64_t last,
                                 const char* power) {
    if (args.num_heads == 0 || count <= last / args.num_heads) return;
    check.refuse(
        fmt::format("{} * num_heads is {} * {}; expected less than {}: split the heads over "
                    "several launches",
                    name, count, args.num_heads, power));
  };
  check_product("num_query_tokens", args.num_query_tokens, kMaxRows, "2^31");
  check_product("num_sequences", args.num_sequences, kMaxHeadsOfSequences - 1, "2^30");
}

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

void check_numbers(const OperandCheck& check, const MlaPrefillArgs& args) {
  const float scale = args.softmax_scale;
  if (scale != 0 && !(scale >= 0x1p-64F && scale <= 0x1p64F)) {
    check.refuse(
        fmt::format("softmax_scale is {}; expected 2^-64 to 2^64, or 0 for head_dim^-0.5", scale));
  }
  if (args.output_type != f32 && args.output_type != f16 && args.output_type != bf16) {
    check.refuse(
        fmt::format("output_type is {}; expected f32, f16 or bf16: FP8 output is asked for by "
                    "output_scale or output_group_size",
                    name_of(args.output_type)));
  }
}

HeadLayout with_defaults(HeadLayout layout) {
  if (layout.head_stride == 0) layout.head_stride = layout.width;
  if (layout.token_stride != 0) return layout;
  // What would be too long is refused, whatever the product.
  const bool fits = layout.head_stride > 0 && layout.heads < kStrideEnd / layout.head_stride;
  layout.token_stride = fits ? layout.heads * layout.head_stride : kStrideEnd;
  return layout;
}

// ---- Memory ----

struct Tensor {
  std::string_view name;
  const void* first = nullptr;
  const HeadLayout& layout;
  std::int64_t element_bytes = 2;

  Memory memory() const { return {name, first, layout.elements() * element_bytes}; }
};

void check_stride(const OperandCheck& check, const Tensor& tensor, const char* kind,
                  std::int64_t stride, std::int64_t count) {
  const std::int64_t pack = 16 / tensor.element_bytes;
  const std::int64_t width = tensor.layout.width;
  if (stride >= width && stride < kStrideEnd && stride % pack == 0 &&
      (count <= 1 || stride <= kMaxOffset / 16 / (count - 1))) {
    return;
  }
  check.refuse(
      fmt::format("{}_{}_stride is {}; expected a multiple of {} from {} to 2^39 - {}, and offsets "
                  "below 2^56 for {} {}s: give 0 for no gaps",
                  tensor.name, kind, stride, pack, width, pack, count, kind));
}

void check_tensor(const OperandCheck& check, const Tensor& tensor) {
  // A token stride that was left out follows from the head stride.
  check_stride(check, tensor, "head", tensor.layout.head_stride, tensor.layout.heads);
  check_stride(check, tensor, "token", tensor.layout.token_stride, tensor.layout.tokens);
  if (tensor.layout.tokens != 0) check.pointer(tensor.name, tensor.first, 16);
}

// Heads within tokens, or tokens within heads.
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

// What is written shares no byte with anything else.
void check_apart(const OperandCheck& check, const MlaPrefillArgs& args,
                 const MlaPrefillOperands& operands, std::span<const Tensor> tensors) {
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
  const std::array<Memory, 3> small{{
      {"cu_seqlens_q", args.cu_seqlens_q, ends},
      {"cu_seqlens_k", operands.cu_seqlens_k, ends},
      {"output_scale", args.output_scale, args.output_scale == nullptr ? 0 : 4},
  }};
  for (std::size_t i = 0; i < written.size(); ++i) {
    if (written[i].bytes == 0) continue;
    for (const Tensor& tensor : tensors) check.apart(written[i], {tensor.memory()});
    for (const Memory& read : small) check.apart(written[i], {read});
    for (std::size_t j = 0; j < i; ++j) check.apart(written[i], {written[j]});
  }
}

}  // namespace

MlaPrefillOperands mla_operands(const OperandCheck& check, const MlaPrefillArgs& args) {
  check_counts(check, args);
  check_dims(check, args);
  check_numbers(check, args);
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
  operands.softmax_scale =
      args.softmax_scale != 0
          ? args.softmax_scale
          : static_cast<float>(1 / std::sqrt(static_cast<double>(args.head_dim)));
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
  const std::array<Tensor, 5> tensors{{
      {"q", args.q, operands.q},
      {"k", args.k, operands.k},
      {"v", args.v, operands.v},
      {"k_rope", args.k_rope, operands.k_rope},
      {"output", args.output, operands.output,
       static_cast<std::int64_t>(bytes_of(operands.element))},
  }};
  for (const Tensor& tensor : tensors) {
    if (tensor.layout.width != 0) check_tensor(check, tensor);
  }
  check_rows_apart(check, operands.output);
  check_fp8_memory(check, operands.fp8);
  check.pointer("cu_seqlens_q", args.cu_seqlens_q, 4);
  check.pointer("cu_seqlens_k", operands.cu_seqlens_k, 4);
  if (args.lse != nullptr) check.pointer("lse", args.lse, 4);
  if (args.work_counters != nullptr) check.pointer("work_counters", args.work_counters, 4);
  check_apart(check, args, operands, std::span(tensors).first(4));
}

}  // namespace jit::inline v1::kernels
