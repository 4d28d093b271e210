#include "jit/kernels/fp8_attention.hpp"

#include <algorithm>
#include <array>
#include <numbers>
#include <span>

#include "attention_combine/params.h"
#include "attention_combine/tile.h"
#include "fp8_attention/params.h"
#include "kernels/fp8_attention_launch.hpp"
#include "kernels/fp8_attention_operands.hpp"
#include "kernels/fp8_attention_splits.hpp"
#include "kernels/workers.hpp"

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::fp8_attention;
namespace combine = cubinet::attention_combine;

constexpr OperandCheck kCheck("fp8_attention");
static_assert(kMaxSplits == combine::kMaxParts, "all parts must be joined");

// One call.
struct Call {
  const Fp8AttentionArgs& args;
  const Fp8AttentionOperands& operands;
  std::int64_t splits = 1;  // args.num_splits may be 0
};

// ---- Tensor maps ----

std::uint64_t number(std::int64_t value) { return static_cast<std::uint64_t>(value); }

// Slabs of heads: what they have in common. Elements are bytes.
TensorMapSpec slabs_spec(const void* address, std::int64_t width) {
  const int slab = device::slab_bytes(static_cast<int>(width));
  TensorMapSpec spec;
  spec.type = e4m3;
  spec.address = address;
  spec.sizes[0] = number(slab);
  spec.box[0] = static_cast<std::uint32_t>(slab);
  spec.swizzle = slab == 128  ? Swizzle::k128Bytes
                 : slab == 64 ? Swizzle::k64Bytes
                              : Swizzle::k32Bytes;
  return spec;
}

TensorMapSpec queries_spec(const Call& call, const device::Tile& tile) {
  const HeadLayout& q = call.operands.q;
  const std::int64_t pack = call.operands.pack;
  TensorMapSpec spec = slabs_spec(call.args.q, q.width);
  const std::uint64_t slab = spec.sizes[0];
  const std::uint64_t slabs = number(q.width) / slab;
  spec.rank = 5;
  spec.sizes = {slab, number(pack), number(q.tokens), slabs, number(q.heads / pack)};
  spec.strides = {number(q.head_stride), number(q.token_stride), slab,
                  number(pack * q.head_stride)};
  spec.box = {spec.box[0], static_cast<std::uint32_t>(pack),
              static_cast<std::uint32_t>(tile.block_m / pack), static_cast<std::uint32_t>(slabs),
              1};
  return spec;
}

// With pages a copy is of rows of one page, slab by slab: slabs of a tile are not beside each
// other.
TensorMapSpec keys_spec(const void* address, const HeadLayout& layout, const device::Tile& tile,
                        std::int64_t page_rows) {
  TensorMapSpec spec = slabs_spec(address, layout.width);
  const std::uint64_t slab = spec.sizes[0];
  const std::uint64_t slabs = number(layout.width) / slab;
  const bool paged = page_rows != 0;
  const int rows = device::copied_rows(static_cast<int>(page_rows), tile.block_n);
  // Of a single page the stride leads nowhere.
  const std::int64_t page_stride = layout.pages == 1 ? layout.token_stride : layout.page_stride;
  spec.rank = paged ? 5 : 4;
  spec.sizes = {slab, number(layout.tokens), slabs, number(layout.heads), number(layout.pages)};
  spec.strides = {number(layout.token_stride), slab, number(layout.head_stride),
                  number(page_stride)};
  spec.box = {spec.box[0], static_cast<std::uint32_t>(rows),
              paged ? 1 : static_cast<std::uint32_t>(slabs), 1, 1};
  return spec;
}

void set_maps(device::Params& params, TensorMapSource& maps, const Call& call,
              const device::Tile& tile) {
  const Fp8AttentionOperands& operands = call.operands;
  params.q = for_device(maps.map(queries_spec(call, tile)));
  // There is no map of nothing. Without keys none is loaded, but a map may be prefetched.
  params.k = params.v = params.q;
  if (operands.k.is_empty()) return;
  params.k = for_device(maps.map(keys_spec(call.args.k, operands.k, tile, operands.page_rows)));
  params.v = for_device(maps.map(keys_spec(call.args.v, operands.v, tile, operands.page_rows)));
}

// ---- Launch of the attention ----

device::Tile tile_of(const KernelInfo& info) {
  const auto constant = [&info](std::string_view name) {
    return static_cast<int>(info.constant(name).as_int());
  };
  // One warpgroup loads and transposes, each of the others has 64 rows.
  return {(constant("kNumThreads") - 128) / 2,
          constant("kBlockN"),
          constant("kHeadDim"),
          constant("kHeadDimV"),
          constant("kNumStages"),
          constant("kValueStages")};
}

device::Descale descale_of(const Fp8Descale& descale) {
  return {descale.data, descale.sequence_stride, descale.head_stride};
}

void set_output(device::Params& params, const Call& call) {
  const Fp8AttentionArgs& args = call.args;
  const HeadLayout& output = call.operands.output;
  params.lse_head_stride = args.num_query_tokens;
  if (call.splits > 1) {
    const SplitWorkspace parts(call.operands, call.splits);
    params.out = parts.outputs(args.workspace);
    params.lse = parts.lses(args.workspace);
    params.out_split_stride = parts.output_split_stride();
    params.out_token_stride = output.heads * output.width;
    params.out_head_stride = output.width;
    params.lse_split_stride = parts.lse_split_stride();
    return;
  }
  params.out = args.output;
  params.lse = args.lse;
  params.output_scale = args.output_scale;
  params.out_token_stride = output.token_stride;
  params.out_head_stride = output.head_stride;
}

// In double precision, rounded once.
void set_scale(device::Params& params, const Call& call) {
  const double scale = call.operands.softmax_scale;
  const double softcap = call.args.softcap;
  const double factor = softcap == 0 ? scale : softcap;
  params.softmax_scale_log2 = static_cast<float>(factor * std::numbers::log2e);
  params.softcap_factor = softcap == 0 ? 0.0F : static_cast<float>(scale / softcap);
}

device::Params make_params(TensorMapSource& maps, const Call& call, const device::Tile& tile) {
  const Fp8AttentionArgs& args = call.args;
  const Fp8AttentionOperands& operands = call.operands;
  const std::int64_t key_tiles = (operands.max_key_tokens + tile.block_n - 1) / tile.block_n;
  device::Params params{};
  set_maps(params, maps, call, tile);
  params.cu_seqlens_q = args.cu_seqlens_q;
  params.cu_seqlens_k = operands.cu_seqlens_k;
  params.seqused_q = args.seqused_q;
  params.seqused_k = args.seqused_k;
  params.page_table = args.page_table;
  params.page_table_stride = operands.page_table_stride;
  params.q_descale = descale_of(args.q_descale);
  params.k_descale = descale_of(args.k_descale);
  params.v_descale = descale_of(args.v_descale);
  params.sinks = static_cast<const unsigned short*>(args.sinks);
  params.work_counters = args.work_counters;
  set_output(params, call);
  set_scale(params, call);
  params.window_left = static_cast<int>(operands.window_left);
  params.window_right = static_cast<int>(operands.window_right);
  params.num_sequences = static_cast<int>(args.num_sequences);
  params.num_heads = static_cast<int>(args.num_heads);
  params.heads_per_kv = static_cast<int>(operands.heads_per_kv);
  params.page_size = static_cast<int>(args.page_size);
  params.num_splits = static_cast<int>(call.splits);
  params.split_tiles =
      static_cast<int>(std::max<std::int64_t>((key_tiles + call.splits - 1) / call.splits, 1));
  return params;
}

// Each sequence may end with a piece of work that is not full.
std::int64_t most_work(const Call& call, std::int64_t block_m) {
  const std::int64_t rows = call.args.num_query_tokens * call.operands.pack;
  const std::int64_t blocks = (rows + block_m - 1) / block_m + call.args.num_sequences;
  return blocks * (call.args.num_heads / call.operands.pack) * call.splits;
}

LaunchConfig config_of(const Fp8AttentionArgs& args, Stream stream) {
  LaunchConfig config;
  config.stream = stream;
  config.programmatic_dependent = args.programmatic_dependent;
  return config;
}

void launch(TensorMapSource& maps, const Kernel& kernel, const Call& call, Stream stream) {
  const device::Tile tile = tile_of(kernel.info());
  LaunchConfig config = config_of(call.args, stream);
  config.grid =
      static_cast<std::uint32_t>(std::min(call.args.num_workers, most_work(call, tile.block_m)));
  config.block = static_cast<std::uint32_t>(device::threads_of(tile));
  config.smem_bytes = static_cast<std::uint32_t>(device::smem_bytes_of(tile));
  kernel.launch(config, make_params(maps, call, tile));
}

// ---- Launch that joins the parts ----

combine::Params make_combine_params(const Call& call) {
  const Fp8AttentionArgs& args = call.args;
  const HeadLayout& output = call.operands.output;
  const SplitWorkspace parts(call.operands, call.splits);
  combine::Params params{};
  params.parts = parts.outputs(args.workspace);
  params.part_lse = parts.lses(args.workspace);
  params.cu_seqlens_q = args.cu_seqlens_q;
  params.seqused_q = args.seqused_q;
  params.out = args.output;
  params.lse = args.lse;
  params.output_scale = args.output_scale;
  params.part_split_stride = parts.output_split_stride();
  params.part_token_stride = output.heads * output.width;
  params.part_head_stride = output.width;
  params.lse_split_stride = parts.lse_split_stride();
  params.lse_head_stride = args.num_query_tokens;
  params.out_token_stride = output.token_stride;
  params.out_head_stride = output.head_stride;
  params.num_parts = static_cast<int>(call.splits);
  params.num_tokens = static_cast<int>(args.num_query_tokens);
  params.num_heads = static_cast<int>(args.num_heads);
  params.num_sequences = static_cast<int>(args.num_sequences);
  return params;
}

void launch_combine(const Kernel& kernel, const Call& call, Stream stream) {
  const auto threads = static_cast<int>(kernel.info().constant("kNumThreads").as_int());
  const std::int64_t rows = call.args.num_query_tokens * call.args.num_heads;
  const std::int64_t rows_of_block = combine::rows_of_block(
      threads, static_cast<int>(call.operands.output.width), static_cast<int>(call.splits));
  LaunchConfig config = config_of(call.args, stream);
  config.grid = static_cast<std::uint32_t>((rows + rows_of_block - 1) / rows_of_block);
  config.block = static_cast<std::uint32_t>(threads);
  kernel.launch(config, make_combine_params(call));
}

// ---- Kernels ----

// Constants of a request. Those that are given their default are left out: a look-up costs by the
// name.
class Constants {
 public:
  void add(std::string_view name, const Value& value) { constants_[count_++] = {name, value}; }
  void add_if(bool given, std::string_view name, const Value& value) {
    if (given) add(name, value);
  }
  operator std::span<const Constant>() const { return std::span(constants_).first(count_); }

 private:
  std::array<Constant, 13> constants_{};
  std::size_t count_ = 0;
};

Kernel attention_kernel(Runtime& runtime, const Call& call) {
  const Fp8AttentionArgs& args = call.args;
  const Fp8AttentionOperands& operands = call.operands;
  const bool split = call.splits > 1;
  Constants constants;
  constants.add("kHeadDim", operands.k.width);
  constants.add("kHeadDimV", operands.v.width);
  constants.add("CAUSAL", operands.causal);
  constants.add("kPackGqa", operands.pack);
  constants.add("PROGRAMMATIC_DEPENDENT_LAUNCH", args.programmatic_dependent);
  constants.add_if(args.accum_interval != 1, "kAccumInterval", args.accum_interval);
  constants.add_if(operands.has_window, "WINDOW", true);
  constants.add_if(args.softcap != 0, "SOFTCAP", true);
  constants.add_if(args.sinks != nullptr, "SINKS", true);
  constants.add_if(operands.page_rows != 0, "kPageRows", operands.page_rows);
  constants.add_if(split, "SPLIT", true);
  constants.add_if(args.output_scale != nullptr && !split, "USE_FP8_OUTPUT", true);
  constants.add_if(args.invariant, "kInvariant", true);
  return runtime.get_kernel("fp8_attention", constants,
                            Sizes{{"max_query_rows", operands.max_query_rows()},
                                  {"num_query_tokens", args.num_query_tokens},
                                  {"num_sequences", args.num_sequences}});
}

Kernel combine_kernel(Runtime& runtime, const Call& call) {
  const std::array<Constant, 3> constants{{
      {"kHeadDimV", call.operands.v.width},
      {"USE_FP8_OUTPUT", call.args.output_scale != nullptr},
      {"PROGRAMMATIC_DEPENDENT_LAUNCH", call.args.programmatic_dependent},
  }};
  return runtime.get_kernel("attention_combine", constants);
}

}  // namespace

std::int64_t fp8_attention_workers(const KernelInfo& info, std::int64_t multiprocessors) {
  const device::Tile tile = tile_of(info);
  return multiprocessors *
         blocks_that_fit({device::threads_of(tile), info.registers,
                          device::smem_bytes_of(tile) + std::int64_t{info.smem_bytes}});
}

Kernel fp8_attention_kernel(Runtime& runtime, const Fp8AttentionArgs& args) {
  const Fp8AttentionOperands operands = fp8_attention_operands(kCheck, args);
  return attention_kernel(runtime, {args, operands, args.num_splits});
}

Kernel attention_combine_kernel(Runtime& runtime, const Fp8AttentionArgs& args) {
  const Fp8AttentionOperands operands = fp8_attention_operands(kCheck, args);
  return combine_kernel(runtime, {args, operands, args.num_splits});
}

void launch_fp8_attention(TensorMapSource& maps, const Kernel& kernel, const Fp8AttentionArgs& args,
                          Stream stream) {
  const Fp8AttentionOperands operands = fp8_attention_operands(kCheck, args);
  if (has_nothing_to_do(args)) return;
  check_fp8_attention_memory(kCheck, args, operands);
  launch(maps, kernel, {args, operands, args.num_splits}, stream);
}

void launch_attention_combine(const Kernel& kernel, const Fp8AttentionArgs& args, Stream stream) {
  const Fp8AttentionOperands operands = fp8_attention_operands(kCheck, args);
  if (has_nothing_to_do(args)) return;
  check_fp8_attention_memory(kCheck, args, operands);
  launch_combine(kernel, {args, operands, args.num_splits}, stream);
}

void fp8_attention(Runtime& runtime, const Fp8AttentionArgs& args, Stream stream) {
  const Fp8AttentionOperands operands = fp8_attention_operands(kCheck, args);
  if (has_nothing_to_do(args)) return;
  check_fp8_attention_memory(kCheck, args, operands);
  const std::int64_t multiprocessors = multiprocessors_of(runtime);
  Fp8AttentionArgs whole = args;
  const Call call{whole, operands, splits_of(operands, args, multiprocessors)};
  const Kernel kernel = attention_kernel(runtime, call);
  // Before the first launch, so that nothing is built between the two.
  const Kernel combine = call.splits > 1 ? combine_kernel(runtime, call) : Kernel();
  if (args.num_workers == 0) {
    whole.num_workers = fp8_attention_workers(kernel.info(), multiprocessors);
  }
  KeptTensorMaps maps(runtime);
  launch(maps, kernel, call, stream);
  if (call.splits > 1) launch_combine(combine, call, stream);
}

void fp8_attention(const Fp8AttentionArgs& args, Stream stream) {
  fp8_attention(Runtime::shared(), args, stream);
}

std::int64_t fp8_attention_workspace_bytes(const Fp8AttentionArgs& args,
                                           std::int64_t multiprocessors) {
  const Fp8AttentionOperands operands = fp8_attention_operands(kCheck, args);
  kCheck.number("multiprocessors", multiprocessors, 1, kMaxWorkers);
  if (has_nothing_to_do(args)) return 0;
  const std::int64_t splits = wanted_splits(operands, args, multiprocessors);
  return splits == 1 ? 0 : SplitWorkspace(operands, splits).bytes();
}

}  // namespace jit::inline v1::kernels
