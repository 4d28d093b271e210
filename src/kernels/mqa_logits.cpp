#include "jit/kernels/mqa_logits.hpp"

#include <fmt/format.h>

#include <array>

#include "kernels/mqa_logits_launch.hpp"
#include "kernels/operands.hpp"
#include "kernels/workers.hpp"
#include "mqa_logits/params.h"

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::mqa_logits;

constexpr OperandCheck kCheck("mqa_logits");

std::int64_t width_of(const MqaLogitsArgs& args) {
  return args.logits_width == 0 ? args.num_keys : args.logits_width;
}

std::int64_t stride_of(const MqaLogitsArgs& args) {
  return args.logits_stride == 0 ? width_of(args) : args.logits_stride;
}

// Without keys there are still positions to clean.
bool has_nothing_to_do(const MqaLogitsArgs& args) {
  return args.num_tokens == 0 || width_of(args) == 0 || (args.num_keys == 0 && !args.clean_logits);
}

// ---- Refusals ----

// Shapes only; whether there is memory behind them is asked when there is something to do.
void check_shape(const MqaLogitsArgs& args) {
  kCheck.logits_type(args.logits_type);
  kCheck.one_of("num_heads", args.num_heads, {16, 32, 64});
  kCheck.one_of("head_dim", args.head_dim, {32, 64, 128});
  kCheck.number("num_tokens", args.num_tokens, 0, kMaxRows);
  kCheck.number("num_keys", args.num_keys, 0, kMaxPositions);
  kCheck.number("logits_width", args.logits_width, 0, kMaxPositions);
  kCheck.number("num_workers", args.num_workers, 0, kMaxWorkers);
  if (args.num_tokens > kMaxRows / args.num_heads) {
    kCheck.refuse(
        fmt::format("num_tokens * num_heads is {} * {}; expected less than 2^31: split the tokens "
                    "over several launches",
                    args.num_tokens, args.num_heads));
  }
  const std::int64_t splits =
      (args.num_keys + cubinet::mqa::kSplitTokens - 1) / cubinet::mqa::kSplitTokens;
  if (args.num_tokens * splits > kMaxRows) {
    kCheck.refuse(
        fmt::format("num_tokens * ceil(num_keys / {}) is {} * {}; expected less than 2^31: split "
                    "the tokens over several launches",
                    cubinet::mqa::kSplitTokens, args.num_tokens, splits));
  }
}

void check_memory(const MqaLogitsArgs& args) {
  kCheck.row_stride("logits_stride", args.logits_stride, "logits_width", width_of(args),
                    args.num_tokens);
  kCheck.pointer("query", args.query, 16);
  if (args.num_keys != 0) {
    kCheck.pointer("keys", args.keys, 16);
    kCheck.pointer("key_scales", args.key_scales, 16);
  }
  kCheck.pointer("weights", args.weights, 16);
  kCheck.pointer("starts", args.starts, 4);
  kCheck.pointer("ends", args.ends, 4);
  kCheck.pointer("logits", args.logits, bytes_of(args.logits_type));
  const auto element = static_cast<std::int64_t>(bytes_of(args.logits_type));
  const std::int64_t queries = args.num_tokens * args.num_heads;
  kCheck.apart(
      {"logits", args.logits, ((args.num_tokens - 1) * stride_of(args) + width_of(args)) * element},
      {{"query", args.query, queries * args.head_dim},
       {"keys", args.keys, args.num_keys * args.head_dim},
       {"key_scales", args.key_scales, args.num_keys * 4},
       {"weights", args.weights, queries * 4},
       {"starts", args.starts, args.num_tokens * 4},
       {"ends", args.ends, args.num_tokens * 4}});
}

// ---- Launch ----

TensorMapSpec scales_spec(const MqaLogitsArgs& args) {
  TensorMapSpec spec;
  spec.type = f32;
  spec.rank = 1;
  spec.address = args.key_scales;
  spec.sizes = {static_cast<std::uint64_t>(args.num_keys)};
  spec.box = {cubinet::mqa::kTileTokens};
  return spec;
}

device::Params make_params(TensorMapSource& maps, const MqaLogitsArgs& args) {
  device::Params params{};
  params.queries = for_device(maps.map(
      rows_spec(args.query, args.head_dim, args.num_tokens * args.num_heads, args.num_heads)));
  // There is no map of nothing. Without keys none is loaded, but a map may be prefetched.
  params.keys = params.key_scales = params.queries;
  if (args.num_keys != 0) {
    params.keys = for_device(
        maps.map(rows_spec(args.keys, args.head_dim, args.num_keys, cubinet::mqa::kTileTokens)));
    params.key_scales = for_device(maps.map(scales_spec(args)));
  }
  params.weights = args.weights;
  params.starts = args.starts;
  params.ends = args.ends;
  params.logits = args.logits;
  params.logits_stride = stride_of(args);
  params.num_tokens = static_cast<unsigned int>(args.num_tokens);
  params.num_keys = static_cast<unsigned int>(args.num_keys);
  params.logits_width = static_cast<unsigned int>(width_of(args));
  return params;
}

void launch(TensorMapSource& maps, const Kernel& kernel, const MqaLogitsArgs& args, Stream stream) {
  const device::Params params = make_params(maps, args);
  const KernelInfo& info = kernel.info();
  LaunchConfig config = mqa_launch_config(info, static_cast<int>(info.constant("kBlockQ").as_int()),
                                          args.num_workers);
  config.stream = stream;
  config.programmatic_dependent = args.programmatic_dependent;
  kernel.launch(config, params);
}

}  // namespace

void launch_mqa_logits(TensorMapSource& maps, const Kernel& kernel, const MqaLogitsArgs& args,
                       Stream stream) {
  check_shape(args);
  if (has_nothing_to_do(args)) return;
  check_memory(args);
  launch(maps, kernel, args, stream);
}

void mqa_logits(Runtime& runtime, const MqaLogitsArgs& args, Stream stream) {
  check_shape(args);
  if (has_nothing_to_do(args)) return;
  check_memory(args);
  MqaLogitsArgs whole = args;
  whole.num_workers = workers_or_all(runtime, args.num_workers);
  const std::array<Constant, 6> constants{{
      {"kNumHeads", args.num_heads},
      {"kHeadDim", args.head_dim},
      {"LOGITS_TYPE", args.logits_type},
      {"COMPRESSED_LOGITS", args.compressed_logits},
      {"CLEAN_LOGITS", args.clean_logits},
      {"PROGRAMMATIC_DEPENDENT_LAUNCH", args.programmatic_dependent},
  }};
  const Kernel kernel = runtime.get_kernel(
      "mqa_logits", constants, Sizes{{"num_tokens", args.num_tokens}, {"num_keys", args.num_keys}});
  KeptTensorMaps maps(runtime);
  launch(maps, kernel, whole, stream);
}

void mqa_logits(const MqaLogitsArgs& args, Stream stream) {
  mqa_logits(Runtime::shared(), args, stream);
}

}  // namespace jit::inline v1::kernels
