#include "kernels/fp8_output.hpp"

#include <fmt/format.h>

#include <numeric>

namespace jit::inline v1::kernels {
namespace {

constexpr std::int64_t kMaxScaleOffset = std::int64_t{1} << 59;  // Params: of each stride

// Two scales share a place exactly if some multiple of both strides is within both extents.
void check_strides(const OperandCheck& check, const Fp8Output& output) {
  const ScaleLayout scales = scale_layout_of(output);
  const std::int64_t last_token = output.tokens - 1;
  const std::int64_t last_group = scales.per_token - 1;
  const auto too_far = [](std::int64_t stride, std::int64_t last) {
    return last != 0 && stride > kMaxScaleOffset / last;
  };
  if (scales.token_stride < 0 || scales.group_stride < 0 ||
      too_far(scales.token_stride, last_token) || too_far(scales.group_stride, last_group)) {
    check.refuse(
        fmt::format("output_scale_token_stride is {} and output_scale_group_stride {}; expected 0 "
                    "or more, and offsets below 2^59 for {} tokens of {} scales",
                    scales.token_stride, scales.group_stride, output.tokens, scales.per_token));
  }
  const std::int64_t common = std::gcd(scales.token_stride, scales.group_stride);
  if (scales.group_stride / common > last_token || scales.token_stride / common > last_group) {
    return;
  }
  check.refuse(
      fmt::format("output_scale_token_stride is {} and output_scale_group_stride {}: with {} "
                  "tokens of {} scales two scales share a place; give 0 and 0 for row-major, or 1 "
                  "and at least num_tokens for column-major",
                  scales.token_stride, scales.group_stride, output.tokens, scales.per_token));
}

}  // namespace

ScaleLayout scale_layout_of(const Fp8Output& output) {
  if (output.group_size == 0) return {};
  const std::int64_t per_token = output.heads * (output.width / output.group_size);
  if (output.token_stride == 0 && output.group_stride == 0) return {per_token, per_token, 1};
  return {per_token, output.token_stride, output.group_stride};
}

void check_fp8_shape(const OperandCheck& check, const Fp8Output& output) {
  const std::int64_t group = output.group_size;
  if (output.scale != nullptr && (group != 0 || output.group_scales != nullptr)) {
    check.refuse(
        "output_scale and scales of groups are both given; give output_scale for one scale per "
        "tensor, or output_group_size and output_group_scales for one per group");
  }
  if (group == 0) {
    if (output.group_scales == nullptr && !output.use_ue8m0_scales && output.token_stride == 0 &&
        output.group_stride == 0) {
      return;
    }
    check.refuse(
        "output_group_size is 0 beside output_group_scales, their strides or use_ue8m0_scales; "
        "give 64 or 128, or none of them");
  }
  if (group != 64 && group != 128) {
    check.refuse(fmt::format("output_group_size is {}; expected 64 or 128", group));
  }
  if (output.width % group != 0) {
    check.refuse(fmt::format("{} is {}; expected a multiple of output_group_size ({})",
                             output.width_name, output.width, group));
  }
}

void check_fp8_memory(const OperandCheck& check, const Fp8Output& output) {
  if (output.scale != nullptr) check.pointer("output_scale", output.scale, 4);
  if (output.group_size == 0) return;
  check_strides(check, output);
  check.pointer("output_group_scales", output.group_scales, 4);
}

}  // namespace jit::inline v1::kernels
