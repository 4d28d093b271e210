#include "jit/kernels/paged_mqa_logits.hpp"
#include "c_abi/request.hpp"

namespace jit::inline v1::c_abi {
namespace {

kernels::PagedMqaLogitsArgs read_args(const cubinet_paged_mqa_logits_args& given) {
  constexpr const char* kName = "cubinet_paged_mqa_logits_args";
  cubinet_paged_mqa_logits_args copy{};
  const cubinet_paged_mqa_logits_args& from = read_struct(given, copy);
  read_reserved(kName, from.reserved);
  kernels::PagedMqaLogitsArgs args;
  // Names every field, so that one more in PagedMqaLogitsArgs does not compile here.
  auto& [batch, next_n, num_heads, head_dim, block_kv, num_blocks, max_context_len, logits_type,
         query, kv_cache, weights, context_lens, block_table, schedule, logits, block_stride,
         block_table_stride, logits_stride, num_workers, clean_logits, programmatic_dependent] =
      args;
  batch = from.batch;
  if (from.next_n != 0) next_n = from.next_n;
  num_heads = from.num_heads;
  if (from.head_dim != 0) head_dim = from.head_dim;
  if (from.block_kv != 0) block_kv = from.block_kv;
  num_blocks = from.num_blocks;
  max_context_len = from.max_context_len;
  if (from.logits_type != 0) logits_type = read_dtype({kName, "logits_type"}, from.logits_type);
  query = from.query;
  kv_cache = from.kv_cache;
  weights = from.weights;
  context_lens = from.context_lens;
  block_table = from.block_table;
  schedule = from.schedule;
  logits = from.logits;
  block_stride = from.block_stride;
  block_table_stride = from.block_table_stride;
  logits_stride = from.logits_stride;
  num_workers = from.num_workers;
  clean_logits = read_flag({kName, "clean_logits"}, from.clean_logits);
  programmatic_dependent = !read_flag({kName, "in_order"}, from.in_order);
  return args;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

cubinet_status cubinet_paged_mqa_logits(cubinet_runtime* runtime,
                                        const cubinet_paged_mqa_logits_args* args,
                                        cubinet_stream stream) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_paged_mqa_logits";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    jit::kernels::paged_mqa_logits(at, read_args(not_null(args, kFunction, "args")), stream);
  });
}
