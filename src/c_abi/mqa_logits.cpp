#include "jit/kernels/mqa_logits.hpp"

#include "c_abi/request.hpp"

namespace jit::inline v1::c_abi {
namespace {

kernels::MqaLogitsArgs read_args(const cubinet_mqa_logits_args& given) {
  constexpr const char* kName = "cubinet_mqa_logits_args";
  cubinet_mqa_logits_args copy{};
  const cubinet_mqa_logits_args& from = read_struct(given, copy);
  kernels::MqaLogitsArgs args;
  // Names every field, so that one more in MqaLogitsArgs does not compile here.
  auto& [num_tokens, num_keys, num_heads, head_dim, logits_type, query, keys, key_scales, weights,
         starts, ends, logits, logits_width, logits_stride, num_workers, compressed_logits,
         clean_logits, programmatic_dependent] = args;
  num_tokens = from.num_tokens;
  num_keys = from.num_keys;
  num_heads = from.num_heads;
  if (from.head_dim != 0) head_dim = from.head_dim;
  if (from.logits_type != 0) logits_type = read_dtype({kName, "logits_type"}, from.logits_type);
  query = from.query;
  keys = from.keys;
  key_scales = from.key_scales;
  weights = from.weights;
  starts = from.starts;
  ends = from.ends;
  logits = from.logits;
  logits_width = from.logits_width;
  logits_stride = from.logits_stride;
  num_workers = from.num_workers;
  compressed_logits = read_flag({kName, "compressed_logits"}, from.compressed_logits);
  clean_logits = read_flag({kName, "clean_logits"}, from.clean_logits);
  programmatic_dependent = !read_flag({kName, "in_order"}, from.in_order);
  return args;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

cubinet_status cubinet_mqa_logits(cubinet_runtime* runtime, const cubinet_mqa_logits_args* args,
                                  cubinet_stream stream) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_mqa_logits";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    jit::kernels::mqa_logits(at, read_args(not_null(args, kFunction, "args")), stream);
  });
}
