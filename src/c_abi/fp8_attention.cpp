#include "jit/kernels/fp8_attention.hpp"

#include "c_abi/request.hpp"
#include "kernels/workers.hpp"

namespace jit::inline v1::c_abi {
namespace {

using kernels::Fp8AttentionArgs;

constexpr const char* kName = "cubinet_fp8_attention_args";

// A field more in Fp8AttentionArgs does not compile here: it has to be read below.
[[maybe_unused]] void names_every_field(Fp8AttentionArgs& args) {
  [[maybe_unused]] auto& [num_sequences, num_query_tokens, num_key_tokens, max_query_tokens,
                          max_key_tokens, num_heads, num_kv_heads, head_dim, head_dim_v, causal,
                          window_left, window_right, softmax_scale, softcap, q, k, v, cu_seqlens_q,
                          cu_seqlens_k, seqused_q, seqused_k, q_descale, k_descale, v_descale,
                          sinks, output, lse, output_scale, page_table, page_table_stride,
                          max_pages, num_pages, page_size, q_token_stride, q_head_stride,
                          k_page_stride, k_token_stride, k_head_stride, v_page_stride,
                          v_token_stride, v_head_stride, output_token_stride, output_head_stride,
                          accum_interval, pack_gqa, num_splits, invariant, workspace,
                          workspace_bytes, work_counters, num_workers, programmatic_dependent] =
      args;
}

void read_counts(const cubinet_fp8_attention_args& from, Fp8AttentionArgs& args) {
  args.num_sequences = from.num_sequences;
  args.num_query_tokens = from.num_query_tokens;
  args.num_key_tokens = from.num_key_tokens;
  args.num_heads = from.num_heads;
  args.num_kv_heads = from.num_kv_heads;
  if (from.head_dim != 0) args.head_dim = from.head_dim;
  args.head_dim_v = from.head_dim_v;
  args.max_pages = from.max_pages;
  args.num_pages = from.num_pages;
  args.page_size = from.page_size;
  args.max_query_tokens = from.max_query_tokens;
  args.max_key_tokens = from.max_key_tokens;
}

void read_operands(const cubinet_fp8_attention_args& from, Fp8AttentionArgs& args) {
  args.q = from.q;
  args.k = from.k;
  args.v = from.v;
  args.cu_seqlens_q = from.cu_seqlens_q;
  args.cu_seqlens_k = from.cu_seqlens_k;
  args.seqused_q = from.seqused_q;
  args.seqused_k = from.seqused_k;
  args.page_table = from.page_table;
  args.q_descale = {from.q_descale, from.q_descale_sequence_stride, from.q_descale_head_stride};
  args.k_descale = {from.k_descale, from.k_descale_sequence_stride, from.k_descale_head_stride};
  args.v_descale = {from.v_descale, from.v_descale_sequence_stride, from.v_descale_head_stride};
  args.sinks = from.sinks;
  args.output = from.output;
  args.lse = from.lse;
  args.output_scale = from.output_scale;
  args.work_counters = from.work_counters;
  args.workspace = from.workspace;
  args.workspace_bytes = from.workspace_bytes;
}

void read_strides(const cubinet_fp8_attention_args& from, Fp8AttentionArgs& args) {
  args.q_token_stride = from.q_token_stride;
  args.q_head_stride = from.q_head_stride;
  args.k_page_stride = from.k_page_stride;
  args.k_token_stride = from.k_token_stride;
  args.k_head_stride = from.k_head_stride;
  args.v_page_stride = from.v_page_stride;
  args.v_token_stride = from.v_token_stride;
  args.v_head_stride = from.v_head_stride;
  args.output_token_stride = from.output_token_stride;
  args.output_head_stride = from.output_head_stride;
  args.page_table_stride = from.page_table_stride;
}

// Returns: the window, or -1. A window whose flag was forgotten would silently be none.
std::int64_t read_window(const char* flag, std::int32_t has, std::int64_t given) {
  if (read_flag({kName, flag}, has)) return given;
  if (given != 0) {
    refuse(fmt::format("read {}: {} is 0, but the window is {}; set it to 1", kName, flag, given));
  }
  return -1;
}

// 0, what was left out, is every key tile here: what 0 means in C++ has a name.
std::int64_t read_interval(std::int64_t given) {
  if (given == CUBINET_ACCUM_AT_THE_END) return 0;
  if (given < 0) {
    refuse(
        fmt::format("read {}: accum_interval is {}; expected 1 key tile or more, 0 for 1, or "
                    "CUBINET_ACCUM_AT_THE_END",
                    kName, given));
  }
  return given == 0 ? 1 : given;
}

void read_choices(const cubinet_fp8_attention_args& from, Fp8AttentionArgs& args) {
  args.causal = !read_flag({kName, "not_causal"}, from.not_causal);
  args.window_left = read_window("has_window_left", from.has_window_left, from.window_left);
  args.window_right = read_window("has_window_right", from.has_window_right, from.window_right);
  args.softmax_scale = from.softmax_scale;
  args.softcap = from.softcap;
  args.accum_interval = read_interval(from.accum_interval);
  args.pack_gqa = from.pack_gqa;
  args.num_splits = from.num_splits;
  args.num_workers = from.num_workers;
  args.invariant = read_flag({kName, "invariant"}, from.invariant);
  args.programmatic_dependent = !read_flag({kName, "in_order"}, from.in_order);
}

Fp8AttentionArgs read_args(const cubinet_fp8_attention_args& given) {
  cubinet_fp8_attention_args copy{};
  const cubinet_fp8_attention_args& from = read_struct(given, copy);
  read_reserved(kName, from.reserved);
  Fp8AttentionArgs args;
  read_counts(from, args);
  read_operands(from, args);
  read_strides(from, args);
  read_choices(from, args);
  return args;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

cubinet_status cubinet_fp8_attention(cubinet_runtime* runtime,
                                     const cubinet_fp8_attention_args* args,
                                     cubinet_stream stream) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_fp8_attention";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    jit::kernels::fp8_attention(at, read_args(not_null(args, kFunction, "args")), stream);
  });
}

cubinet_status cubinet_fp8_attention_workspace_bytes(cubinet_runtime* runtime,
                                                     const cubinet_fp8_attention_args* args,
                                                     int64_t multiprocessors,
                                                     int64_t* bytes) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_fp8_attention_workspace_bytes";
    std::int64_t& out = not_null(bytes, kFunction, "bytes");
    const jit::kernels::Fp8AttentionArgs operands = read_args(not_null(args, kFunction, "args"));
    if (multiprocessors == 0) {
      multiprocessors = jit::kernels::workers_or_all(runtime_of(runtime, kFunction), 0);
    }
    out = jit::kernels::fp8_attention_workspace_bytes(operands, multiprocessors);
  });
}
