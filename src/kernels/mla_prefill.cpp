#include "jit/kernels/mla_prefill.hpp"

#include <algorithm>
#include <array>
#include <numbers>

#include "attention_shared/tile.h"
#include "kernels/mla_prefill_launch.hpp"
#include "kernels/mla_prefill_operands.hpp"
#include "kernels/workers.hpp"
#include "mla_prefill/params.h"

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::mla_prefill;
using cubinet::attention::kSlabElements;

constexpr OperandCheck kCheck("mla_prefill");

// ---- Tensor maps ----

// Rows of 64 elements: the pieces of a head that lie one after the other in shared memory.
TensorMapSpec heads_spec(const void* address, const HeadLayout& layout, int box_tokens) {
  const auto number = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
  const std::int64_t pieces = layout.width / kSlabElements;
  TensorMapSpec spec;
  spec.type = bf16;
  spec.rank = 4;
  spec.address = address;
  spec.sizes = {kSlabElements, number(layout.tokens), number(pieces), number(layout.heads)};
  spec.strides = {number(layout.token_stride * 2), kSlabElements * 2,
                  number(layout.head_stride * 2)};
  spec.box = {kSlabElements, static_cast<std::uint32_t>(box_tokens),
              static_cast<std::uint32_t>(pieces), 1};
  spec.swizzle = Swizzle::k128Bytes;
  return spec;
}

TensorMapSpec rope_spec(const void* address, const HeadLayout& layout, int box_tokens) {
  TensorMapSpec spec = heads_spec(address, layout, box_tokens);
  spec.rank = 2;
  return spec;
}

// ---- Launch ----

cubinet::attention::Tile tile_of(const KernelInfo& info) {
  const auto constant = [&info](std::string_view name) {
    return static_cast<int>(info.constant(name).as_int());
  };
  // One warpgroup loads, each of the others has 64 rows.
  return {(constant("kNumThreads") - 128) / 2, constant("kBlockN"), constant("kHeadDim"),
          constant("kHeadDimV"), constant("kNumStages")};
}

// One launch.
struct Launch {
  const MlaPrefillArgs& args;
  const MlaPrefillOperands& operands;
  cubinet::attention::Tile tile;
};

void set_maps(device::Params& params, TensorMapSource& maps, const Launch& launch) {
  const MlaPrefillArgs& args = launch.args;
  const MlaPrefillOperands& operands = launch.operands;
  const int keys = launch.tile.block_n;
  params.q = for_device(maps.map(heads_spec(args.q, operands.q, launch.tile.block_m)));
  // There is no map of nothing. Without keys none is loaded, but a map may be prefetched.
  params.k = params.v = params.k_rope = params.q;
  if (operands.k.tokens == 0) return;
  params.k = for_device(maps.map(heads_spec(args.k, operands.k, keys)));
  params.v = for_device(maps.map(heads_spec(args.v, operands.v, keys)));
  if (args.k_rope == nullptr) return;
  params.k_rope = for_device(maps.map(rope_spec(args.k_rope, operands.k_rope, keys)));
}

device::Params make_params(TensorMapSource& maps, const Launch& launch) {
  const MlaPrefillArgs& args = launch.args;
  const MlaPrefillOperands& operands = launch.operands;
  const ScaleLayout scales = scale_layout_of(operands.fp8);
  device::Params params{};
  set_maps(params, maps, launch);
  params.cu_seqlens_q = args.cu_seqlens_q;
  params.cu_seqlens_k = operands.cu_seqlens_k;
  params.out = args.output;
  params.lse = args.lse;
  params.output_scale = args.output_scale;
  params.group_scales = args.output_group_scales;
  params.work_counters = args.work_counters;
  params.out_token_stride = operands.output.token_stride;
  params.out_head_stride = operands.output.head_stride;
  params.lse_head_stride = args.num_query_tokens;
  params.scale_token_stride = scales.token_stride;
  params.scale_group_stride = scales.group_stride;
  params.softmax_scale_log2 =
      static_cast<float>(static_cast<double>(operands.softmax_scale) * std::numbers::log2e);
  params.num_sequences = static_cast<int>(args.num_sequences);
  params.num_heads = static_cast<int>(args.num_heads);
  params.heads_per_kv = static_cast<int>(args.num_heads / operands.k.heads);
  return params;
}

// Each sequence may end with a piece of work that is not full.
std::int64_t most_work(const MlaPrefillArgs& args, std::int64_t block_m) {
  return ((args.num_query_tokens + block_m - 1) / block_m + args.num_sequences) * args.num_heads;
}

void launch(TensorMapSource& maps, const Kernel& kernel, const Launch& launch, Stream stream) {
  const MlaPrefillArgs& args = launch.args;
  LaunchConfig config;
  config.grid =
      static_cast<std::uint32_t>(std::min(args.num_workers, most_work(args, launch.tile.block_m)));
  config.block = static_cast<std::uint32_t>(cubinet::attention::threads_of(launch.tile));
  config.smem_bytes = static_cast<std::uint32_t>(cubinet::attention::smem_bytes_of(launch.tile));
  config.stream = stream;
  config.programmatic_dependent = args.programmatic_dependent;
  kernel.launch(config, make_params(maps, launch));
}

}  // namespace

Kernel mla_prefill_kernel(Runtime& runtime, const MlaPrefillArgs& args) {
  const bool fp8 = has_fp8_output(args);
  const std::array<Constant, 9> constants{{
      {"kHeadDim", args.head_dim},
      {"kHeadDimV", args.head_dim_v},
      {"kRopeDim", args.k_rope == nullptr ? 0 : kMlaRopeDim},
      {"CAUSAL", args.causal},
      {"OUTPUT_TYPE", fp8 ? bf16 : args.output_type},
      {"USE_FP8_OUTPUT", fp8},
      {"PROGRAMMATIC_DEPENDENT_LAUNCH", args.programmatic_dependent},
      {"FP8_GROUP_SIZE", args.output_group_size},
      {"USE_UE8M0_SCALES", args.use_ue8m0_scales},
  }};
  // Who asks for no groups does not pay for finding that out by name.
  const std::size_t count = args.output_group_size == 0 ? 7 : constants.size();
  return runtime.get_kernel("mla_prefill", std::span(constants).first(count),
                            Sizes{{"num_query_tokens", args.num_query_tokens},
                                  {"num_key_tokens", args.num_key_tokens},
                                  {"num_query_rows", args.num_query_tokens * args.num_heads}});
}

void launch_mla_prefill(TensorMapSource& maps, const Kernel& kernel, const MlaPrefillArgs& args,
                        Stream stream) {
  const MlaPrefillOperands operands = mla_operands(kCheck, args);
  if (has_nothing_to_do(args)) return;
  check_mla_memory(kCheck, args, operands);
  launch(maps, kernel, {args, operands, tile_of(kernel.info())}, stream);
}

void mla_prefill(Runtime& runtime, const MlaPrefillArgs& args, Stream stream) {
  const MlaPrefillOperands operands = mla_operands(kCheck, args);
  if (has_nothing_to_do(args)) return;
  check_mla_memory(kCheck, args, operands);
  MlaPrefillArgs whole = args;
  whole.num_workers = workers_or_all(runtime, args.num_workers);
  const Kernel kernel = mla_prefill_kernel(runtime, args);
  KeptTensorMaps maps(runtime);
  launch(maps, kernel, {whole, operands, tile_of(kernel.info())}, stream);
}

void mla_prefill(const MlaPrefillArgs& args, Stream stream) {
  mla_prefill(Runtime::shared(), args, stream);
}

}  // namespace jit::inline v1::kernels
