#include "jit/kernels/mla_prefill.hpp"

#include <vector>

#include "c_abi/request.hpp"

namespace jit::inline v1::c_abi {
namespace {

static_assert(sizeof(cubinet_mla_context_chunk) == 80, "chunks come in arrays and cannot grow");

kernels::MlaPrefillArgs read_args(const cubinet_mla_prefill_args& given) {
  constexpr const char* kName = "cubinet_mla_prefill_args";
  cubinet_mla_prefill_args copy{};
  const cubinet_mla_prefill_args& from = read_struct(given, copy);
  read_reserved(kName, from.reserved);
  kernels::MlaPrefillArgs args;
  // Names every field, so that one more in MlaPrefillArgs does not compile here.
  auto& [num_sequences, num_query_tokens, num_key_tokens, num_heads, num_kv_heads, head_dim,
         head_dim_v, causal, softmax_scale, output_type, q, k, v, k_rope, cu_seqlens_q,
         cu_seqlens_k, output, lse, output_scale, q_token_stride, q_head_stride, k_token_stride,
         k_head_stride, v_token_stride, v_head_stride, k_rope_token_stride, output_token_stride,
         output_head_stride, output_group_scales, output_group_size, output_scale_token_stride,
         output_scale_group_stride, use_ue8m0_scales, work_counters, num_workers,
         programmatic_dependent] = args;
  num_sequences = from.num_sequences;
  num_query_tokens = from.num_query_tokens;
  num_key_tokens = from.num_key_tokens;
  num_heads = from.num_heads;
  num_kv_heads = from.num_kv_heads;
  if (from.head_dim != 0) head_dim = from.head_dim;
  if (from.head_dim_v != 0) head_dim_v = from.head_dim_v;
  causal = !read_flag({kName, "not_causal"}, from.not_causal);
  softmax_scale = from.softmax_scale;
  if (from.output_type != 0) output_type = read_dtype({kName, "output_type"}, from.output_type);
  q = from.q;
  k = from.k;
  v = from.v;
  k_rope = from.k_rope;
  cu_seqlens_q = from.cu_seqlens_q;
  cu_seqlens_k = from.cu_seqlens_k;
  output = from.output;
  lse = from.lse;
  output_scale = from.output_scale;
  q_token_stride = from.q_token_stride;
  q_head_stride = from.q_head_stride;
  k_token_stride = from.k_token_stride;
  k_head_stride = from.k_head_stride;
  v_token_stride = from.v_token_stride;
  v_head_stride = from.v_head_stride;
  k_rope_token_stride = from.k_rope_token_stride;
  output_token_stride = from.output_token_stride;
  output_head_stride = from.output_head_stride;
  output_group_scales = from.output_group_scales;
  output_group_size = from.output_group_size;
  output_scale_token_stride = from.output_scale_token_stride;
  output_scale_group_stride = from.output_scale_group_stride;
  use_ue8m0_scales = read_flag({kName, "use_ue8m0_scales"}, from.use_ue8m0_scales);
  work_counters = from.work_counters;
  num_workers = from.num_workers;
  programmatic_dependent = !read_flag({kName, "in_order"}, from.in_order);
  return args;
}

kernels::MlaContextChunk read_chunk(const cubinet_mla_context_chunk& from) {
  kernels::MlaContextChunk chunk;
  auto& [num_key_tokens, k, v, k_rope, cu_seqlens_k, k_token_stride, k_head_stride, v_token_stride,
         v_head_stride, k_rope_token_stride] = chunk;
  num_key_tokens = from.num_key_tokens;
  k = from.k;
  v = from.v;
  k_rope = from.k_rope;
  cu_seqlens_k = from.cu_seqlens_k;
  k_token_stride = from.k_token_stride;
  k_head_stride = from.k_head_stride;
  v_token_stride = from.v_token_stride;
  v_head_stride = from.v_head_stride;
  k_rope_token_stride = from.k_rope_token_stride;
  return chunk;
}

std::vector<kernels::MlaContextChunk> read_chunks(const cubinet_mla_context_chunk* from,
                                                  std::size_t count, const char* function) {
  std::vector<kernels::MlaContextChunk> chunks;
  if (count == 0) return chunks;
  not_null(from, function, "chunks");
  chunks.reserve(count);
  for (std::size_t i = 0; i < count; ++i) chunks.push_back(read_chunk(from[i]));
  return chunks;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

cubinet_status cubinet_mla_prefill(cubinet_runtime* runtime, const cubinet_mla_prefill_args* args,
                                   cubinet_stream stream) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_mla_prefill";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    jit::kernels::mla_prefill(at, read_args(not_null(args, kFunction, "args")), stream);
  });
}

cubinet_status cubinet_mla_prefill_workspace_bytes(const cubinet_mla_prefill_args* args,
                                                   size_t chunk_count, int64_t* bytes) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_mla_prefill_workspace_bytes";
    std::int64_t& out = not_null(bytes, kFunction, "bytes");
    out = jit::kernels::mla_prefill_workspace_bytes(read_args(not_null(args, kFunction, "args")),
                                                    static_cast<std::int64_t>(chunk_count));
  });
}

cubinet_status cubinet_mla_prefill_with_context(cubinet_runtime* runtime,
                                                const cubinet_mla_prefill_args* args,
                                                const cubinet_mla_context_chunk* chunks,
                                                size_t chunk_count, void* workspace,
                                                cubinet_stream stream) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_mla_prefill_with_context";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    const jit::kernels::MlaPrefillArgs operands = read_args(not_null(args, kFunction, "args"));
    jit::kernels::mla_prefill_with_context(
        at, operands, read_chunks(chunks, chunk_count, kFunction), workspace, stream);
  });
}
