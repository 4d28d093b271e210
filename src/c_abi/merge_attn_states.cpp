#include "jit/kernels/merge_attn_states.hpp"

#include "c_abi/request.hpp"

namespace jit::inline v1::c_abi {
namespace {

kernels::MergeAttnStatesArgs read_args(const cubinet_merge_attn_states_args& given) {
  constexpr const char* kName = "cubinet_merge_attn_states_args";
  cubinet_merge_attn_states_args copy{};
  const cubinet_merge_attn_states_args& from = read_struct(given, copy);
  kernels::MergeAttnStatesArgs args;
  // Names every field, so that one more in MergeAttnStatesArgs does not compile here.
  auto& [num_tokens, num_heads, head_size, input_type, prefix_output, suffix_output, prefix_lse,
         suffix_lse, output, output_lse, output_scale, input_head_stride, output_head_stride,
         num_context_tokens, output_group_scales, output_group_size, output_scale_token_stride,
         output_scale_group_stride, use_ue8m0_scales, programmatic_dependent] = args;
  num_tokens = from.num_tokens;
  num_heads = from.num_heads;
  head_size = from.head_size;
  input_type = read_dtype({kName, "input_type"}, from.input_type);
  prefix_output = from.prefix_output;
  suffix_output = from.suffix_output;
  prefix_lse = from.prefix_lse;
  suffix_lse = from.suffix_lse;
  output = from.output;
  output_lse = from.output_lse;
  output_scale = from.output_scale;
  output_group_scales = from.output_group_scales;
  output_group_size = from.output_group_size;
  output_scale_token_stride = from.output_scale_token_stride;
  output_scale_group_stride = from.output_scale_group_stride;
  use_ue8m0_scales = read_flag({kName, "use_ue8m0_scales"}, from.use_ue8m0_scales);
  input_head_stride = from.input_head_stride;
  output_head_stride = from.output_head_stride;
  if (read_flag({kName, "has_num_context_tokens"}, from.has_num_context_tokens)) {
    num_context_tokens = from.num_context_tokens;
  }
  programmatic_dependent =
      read_flag({kName, "programmatic_dependent"}, from.programmatic_dependent);
  return args;
}

}  // namespace
}  // namespace jit::inline v1::c_abi

using namespace jit::c_abi;

cubinet_status cubinet_merge_attn_states(cubinet_runtime* runtime,
                                         const cubinet_merge_attn_states_args* args,
                                         cubinet_stream stream) noexcept {
  return guarded([&] {
    constexpr const char* kFunction = "cubinet_merge_attn_states";
    jit::Runtime& at = runtime_of(runtime, kFunction);
    jit::kernels::merge_attn_states(at, read_args(not_null(args, kFunction, "args")), stream);
  });
}
