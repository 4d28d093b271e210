#include "jit/kernels/merge_attn_states.hpp"

#include <fmt/format.h>

#include <array>

#include "kernels/fp8_output.hpp"
#include "kernels/merge_attn_states_launch.hpp"
#include "kernels/operands.hpp"
#include "merge_attn_states/params.h"

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::merge_attn_states;

constexpr OperandCheck kCheck("merge_attn_states");

constexpr std::int64_t kMaxRows = std::int64_t{1} << 31;    // Params: row indices are 31 bits
constexpr std::int64_t kMaxStride = std::int64_t{1} << 28;  // Params: head strides

void check_stride(std::string_view name, std::int64_t stride, std::int64_t head_size,
                  std::int64_t pack) {
  if (stride == 0) return;
  if (stride < head_size || stride >= kMaxStride || stride % pack != 0) {
    kCheck.refuse(
        fmt::format("{} is {}; expected a multiple of {} from head_size ({}) to 2^28 - 1: give 0 "
                    "for heads without padding, or pad each head to whole 16 bytes",
                    name, stride, pack, head_size));
  }
}

std::int64_t elements_per_pack(DType type) {
  return 16 / static_cast<std::int64_t>(bytes_of(type));
}

Fp8Output quantisation_of(const MergeAttnStatesArgs& args) {
  Fp8Output output = fp8_output_of(args);
  output.tokens = args.num_tokens;
  output.width = args.head_size;
  output.width_name = "head_size";
  return output;
}

// Shapes only; whether there is memory behind them is asked when there is something to do.
void check_shape(const MergeAttnStatesArgs& args) {
  if (args.input_type != f32 && args.input_type != f16 && args.input_type != bf16) {
    kCheck.refuse(
        fmt::format("input_type is {}; expected f32, f16 or bf16", name_of(args.input_type)));
  }
  const std::int64_t pack = elements_per_pack(args.input_type);
  if (args.head_size < pack || args.head_size > 1024 || args.head_size % pack != 0) {
    kCheck.refuse(fmt::format("head_size is {}; expected a multiple of {} up to 1024 for {}",
                              args.head_size, pack, name_of(args.input_type)));
  }
  if (args.num_tokens < 0 || args.num_heads < 0) {
    kCheck.refuse(fmt::format("num_tokens is {} and num_heads {}; expected 0 or more",
                              args.num_tokens, args.num_heads));
  }
  if (args.num_heads != 0 && args.num_tokens > (kMaxRows - 1) / args.num_heads) {
    kCheck.refuse(
        fmt::format("num_tokens * num_heads is {} * {}; expected less than 2^31: split the "
                    "heads over several launches",
                    args.num_tokens, args.num_heads));
  }
  check_fp8_shape(kCheck, quantisation_of(args));
  const std::int64_t context = args.num_context_tokens.value_or(args.num_tokens);
  if (context < 0 || context > args.num_tokens) {
    kCheck.refuse(fmt::format("num_context_tokens is {}; expected 0 to num_tokens ({})", context,
                              args.num_tokens));
  }
}

void check_memory(const MergeAttnStatesArgs& args) {
  const std::int64_t pack = elements_per_pack(args.input_type);
  const bool fp8 = has_fp8_output(args);
  check_stride("input_head_stride", args.input_head_stride, args.head_size, pack);
  check_stride("output_head_stride", args.output_head_stride, args.head_size, pack);
  check_fp8_memory(kCheck, quantisation_of(args));
  kCheck.pointer("prefix_output", args.prefix_output, 16);
  kCheck.pointer("suffix_output", args.suffix_output, 16);
  kCheck.pointer("prefix_lse", args.prefix_lse, 4);
  kCheck.pointer("suffix_lse", args.suffix_lse, 4);
  kCheck.pointer("output", args.output, fp8 ? static_cast<std::size_t>(pack) : 16);
  if (args.output_lse != nullptr) kCheck.pointer("output_lse", args.output_lse, 4);
}

unsigned int stride_or(std::int64_t stride, std::int64_t head_size) {
  return static_cast<unsigned int>(stride == 0 ? head_size : stride);
}

device::Params make_params(const MergeAttnStatesArgs& args) {
  device::Params params{};
  params.prefix_output = args.prefix_output;
  params.suffix_output = args.suffix_output;
  params.prefix_lse = args.prefix_lse;
  params.suffix_lse = args.suffix_lse;
  params.output = args.output;
  params.output_lse = args.output_lse;
  params.output_scale = args.output_scale;
  params.num_tokens = static_cast<unsigned int>(args.num_tokens);
  params.num_context_tokens =
      static_cast<unsigned int>(args.num_context_tokens.value_or(args.num_tokens));
  params.input_head_stride = stride_or(args.input_head_stride, args.head_size);
  params.output_head_stride = stride_or(args.output_head_stride, args.head_size);
  params.num_heads = device::make_divisor(static_cast<unsigned int>(args.num_heads));
  const ScaleLayout scales = scale_layout_of(quantisation_of(args));
  params.output_group_scales = args.output_group_scales;
  params.output_scale_token_stride = static_cast<unsigned long long>(scales.token_stride);
  params.output_scale_group_stride = static_cast<unsigned long long>(scales.group_stride);
  return params;
}

device::Tile tile_of(const KernelInfo& info, const MergeAttnStatesArgs& args) {
  return {static_cast<unsigned int>(args.head_size),
          static_cast<unsigned int>(bytes_of(args.input_type)),
          static_cast<unsigned int>(info.constant("THREADS").as_int())};
}

void launch(const Kernel& kernel, const MergeAttnStatesArgs& args, Stream stream) {
  const device::Params params = make_params(args);
  const device::Tile tile = tile_of(kernel.info(), args);
  LaunchConfig launch;
  launch.grid = device::blocks_of(tile, params.num_tokens, params.num_heads.divisor);
  launch.block = tile.threads;
  launch.stream = stream;
  launch.programmatic_dependent = args.programmatic_dependent;
  kernel.launch(launch, params);
}

}  // namespace

void launch_merge_attn_states(const Kernel& kernel, const MergeAttnStatesArgs& args,
                              Stream stream) {
  check_shape(args);
  if (args.num_tokens == 0 || args.num_heads == 0) return;
  check_memory(args);
  launch(kernel, args, stream);
}

void merge_attn_states(Runtime& runtime, const MergeAttnStatesArgs& args, Stream stream) {
  check_shape(args);
  if (args.num_tokens == 0 || args.num_heads == 0) return;
  check_memory(args);
  launch(merge_attn_states_kernel(runtime, args), args, stream);
}

Kernel merge_attn_states_kernel(Runtime& runtime, const MergeAttnStatesArgs& args) {
  const std::array<Constant, 7> constants{{
      {"HEAD_SIZE", args.head_size},
      {"INPUT_TYPE", args.input_type},
      {"USE_FP8_OUTPUT", has_fp8_output(args)},
      {"HAS_OUTPUT_LSE", args.output_lse != nullptr},
      {"PROGRAMMATIC_DEPENDENT_LAUNCH", args.programmatic_dependent},
      {"FP8_GROUP_SIZE", args.output_group_size},
      {"USE_UE8M0_SCALES", args.use_ue8m0_scales},
  }};
  // Who asks for no groups does not pay for finding that out by name.
  const std::size_t count = args.output_group_size == 0 ? 5 : constants.size();
  return runtime.get_kernel("merge_attn_states", std::span(constants).first(count),
                            Sizes{{"num_tokens", args.num_tokens}});
}

void merge_attn_states(const MergeAttnStatesArgs& args, Stream stream) {
  merge_attn_states(Runtime::shared(), args, stream);
}

}  // namespace jit::inline v1::kernels
