#include "gpu/merge_device.hpp"

namespace jit::test {
namespace {

std::size_t output_shift(const MergeCase& merge) {
  if (!merge.shifted || !merge.fp8()) return 0;
  return merge.type == f32 ? 4 : 8;
}

std::vector<std::byte> poison(const MergeCase& merge, std::size_t bytes) {
  return std::vector<std::byte>(bytes, merge.poison);
}

template <class T>
std::span<const std::byte> bytes_in(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

}  // namespace

MergeDevice::MergeDevice(Driver& driver, const MergeCase& merge, const MergeInputs& inputs)
    : merge_(merge),
      prefix_(driver, inputs.prefix, merge.shifted ? 16 : 0),
      suffix_(driver, inputs.suffix),
      prefix_lse_(driver, bytes_in(inputs.prefix_lse), merge.shifted ? 4 : 0),
      suffix_lse_(driver, bytes_in(inputs.suffix_lse), merge.shifted ? 12 : 0),
      output_(driver, poison(merge, merge.output_bytes()), output_shift(merge)),
      output_lse_(driver, poison(merge, merge.rows() * sizeof(float)), merge.shifted ? 8 : 0),
      scale_(driver, bytes_in(std::vector<float>{merge.scale.value_or(1.0F)}),
             merge.shifted ? 4 : 0),
      scales_(driver, poison(merge, merge.scale_bytes()), merge.shifted ? 4 : 0) {
  // A copy from pageable memory may still be under way, and the tests' streams do not wait for it.
  synchronize(driver);
}

kernels::MergeAttnStatesArgs MergeDevice::args() const {
  kernels::MergeAttnStatesArgs args;
  args.num_tokens = merge_.tokens;
  args.num_heads = merge_.heads;
  args.head_size = merge_.head_size;
  args.input_type = merge_.type;
  args.prefix_output = prefix_.as<void>();
  args.suffix_output = suffix_.as<void>();
  args.prefix_lse = prefix_lse_.as<float>();
  args.suffix_lse = suffix_lse_.as<float>();
  args.output = output_.as<void>();
  if (merge_.has_lse) args.output_lse = output_lse_.as<float>();
  if (merge_.scale) args.output_scale = scale_.as<float>();
  if (merge_.group != 0) {
    args.output_group_scales = scales_.as<float>();
    args.output_group_size = merge_.group;
    args.use_ue8m0_scales = merge_.ue8m0;
  }
  if (merge_.layout != ScaleLayout::kRowMajor) {
    args.output_scale_token_stride = static_cast<std::int64_t>(merge_.scale_token_stride());
    args.output_scale_group_stride = static_cast<std::int64_t>(merge_.scale_group_stride());
  }
  if (merge_.input_stride != merge_.head_size) args.input_head_stride = merge_.input_stride;
  if (merge_.output_stride != merge_.head_size) args.output_head_stride = merge_.output_stride;
  if (merge_.context) args.num_context_tokens = *merge_.context;
  args.programmatic_dependent = merge_.programmatic;
  return args;
}

MergeOutcome MergeDevice::download() const {
  return {prefix_.download(),     suffix_.download(), prefix_lse_.download(),
          suffix_lse_.download(), output_.download(), output_lse_.download(),
          scales_.download()};
}

MergeOutcome run_merge(Runtime& runtime, const MergeCase& merge, const MergeInputs& inputs,
                       const StreamOwner& stream) {
  const MergeDevice device(driver(), merge, inputs);
  kernels::merge_attn_states(runtime, device.args(), stream.get());
  stream.synchronize();
  return device.download();
}

}  // namespace jit::test
