#include "gpu/fp8_attention_call.hpp"

namespace jit::test {
namespace {

void set_strides(const Fp8Case& fp8, kernels::Fp8AttentionArgs& args) {
  if (fp8.layout == Fp8Layout::kPacked) return;
  args.q_token_stride = fp8.queries().token_stride;
  args.q_head_stride = fp8.queries().head_stride;
  args.k_page_stride = fp8.keys().page_stride;
  args.k_token_stride = fp8.keys().token_stride;
  args.k_head_stride = fp8.keys().head_stride;
  args.v_page_stride = fp8.values().page_stride;
  args.v_token_stride = fp8.values().token_stride;
  args.v_head_stride = fp8.values().head_stride;
  args.output_token_stride = fp8.output().token_stride;
  args.output_head_stride = fp8.output().head_stride;
}

void set_pages(const Fp8Case& fp8, kernels::Fp8AttentionArgs& args) {
  args.max_pages = fp8.max_pages();
  args.page_table_stride = fp8.table_stride() == fp8.max_pages() ? 0 : fp8.table_stride();
  args.num_pages = fp8.num_pages();
  args.page_size = fp8.page_size;
}

}  // namespace

kernels::Fp8AttentionArgs shapes_of(const Fp8Case& fp8) {
  kernels::Fp8AttentionArgs args;
  args.num_sequences = fp8.sequences();
  args.num_query_tokens = fp8.query_tokens();
  if (fp8.page_size == 0) args.num_key_tokens = fp8.key_tokens();
  if (fp8.tells_lengths) {
    args.max_query_tokens = fp8.longest_query();
    args.max_key_tokens = fp8.longest_key();
  }
  args.num_heads = fp8.heads;
  if (fp8.kv_heads != fp8.heads) args.num_kv_heads = fp8.kv_heads;
  args.head_dim = fp8.head_dim;
  if (fp8.head_dim_v != fp8.head_dim) args.head_dim_v = fp8.head_dim_v;
  args.causal = fp8.causal;
  args.window_left = fp8.window_left;
  args.window_right = fp8.window_right;
  args.softmax_scale = fp8.softmax_scale;
  args.softcap = fp8.softcap;
  set_strides(fp8, args);
  if (fp8.page_size != 0) set_pages(fp8, args);
  args.accum_interval = fp8.accum_interval;
  args.pack_gqa = fp8.pack_gqa;
  args.num_splits = fp8.num_splits;
  args.invariant = fp8.invariant;
  args.num_workers = fp8.workers;
  args.programmatic_dependent = fp8.programmatic;
  return args;
}

}  // namespace jit::test
