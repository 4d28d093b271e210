// FP8 output of front ends: by one scale for all, or by one per group of a row, which is written.
#pragma once

#include <cstdint>
#include <string_view>

#include "kernels/operands.hpp"

namespace jit::inline v1::kernels {

// What an output is quantised by: `tokens` of `heads` rows of `width` elements.
struct Fp8Output {
  std::int64_t tokens = 0;
  std::int64_t heads = 0;
  std::int64_t width = 0;
  std::string_view width_name;  // as the front end calls it
  const float* scale = nullptr;
  float* group_scales = nullptr;
  std::int64_t group_size = 0;  // 0: no groups
  std::int64_t token_stride = 0;
  std::int64_t group_stride = 0;
  bool use_ue8m0_scales = false;
};

template <class Args>
bool has_fp8_output(const Args& args) noexcept {
  return args.output_scale != nullptr || args.output_group_size != 0;
}

// What all front ends call by the same names; the rest is left to the caller.
template <class Args>
Fp8Output fp8_output_of(const Args& args) {
  Fp8Output output;
  output.heads = args.num_heads;
  output.scale = args.output_scale;
  output.group_scales = args.output_group_scales;
  output.group_size = args.output_group_size;
  output.token_stride = args.output_scale_token_stride;
  output.group_stride = args.output_scale_group_stride;
  output.use_ue8m0_scales = args.use_ue8m0_scales;
  return output;
}

// The scales of groups: how many there are, and where. All 0 without groups.
struct ScaleLayout {
  std::int64_t per_token = 0;
  std::int64_t token_stride = 0;
  std::int64_t group_stride = 0;

  // From the first scale to the last one. Requires: strides that check_fp8_memory passes.
  std::int64_t bytes(std::int64_t tokens) const noexcept {
    if (per_token == 0 || tokens == 0) return 0;
    return ((tokens - 1) * token_stride + (per_token - 1) * group_stride + 1) * 4;
  }
};
ScaleLayout scale_layout_of(const Fp8Output& output);

// Errors: both kInvalidArgument. The first looks at shapes alone.
void check_fp8_shape(const OperandCheck& check, const Fp8Output& output);
// Requires: check_fp8_shape has passed; there are tokens and heads.
void check_fp8_memory(const OperandCheck& check, const Fp8Output& output);

}  // namespace jit::inline v1::kernels
