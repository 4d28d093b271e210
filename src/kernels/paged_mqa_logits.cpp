#include "jit/kernels/paged_mqa_logits.hpp"

#include <array>

#include "kernels/operands.hpp"
#include "kernels/paged_mqa_logits_launch.hpp"
#include "kernels/workers.hpp"
#include "mqa_shared/groups.h"
#include "paged_mqa_logits/params.h"

#include <fmt/format.h>

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::paged_mqa_logits;

constexpr OperandCheck kCheck("paged_mqa_logits");
constexpr std::int64_t kMaxNextN = 6;
constexpr std::int64_t kStrideEnd = std::int64_t{1} << 40;  // of a tensor map

std::int64_t ceil_div(std::int64_t value, std::int64_t by) { return (value + by - 1) / by; }

// Sizes and strides as the device is told them.
struct Layout {
  std::int64_t rows = 0;         // of queries, weights and logits
  std::int64_t block_bytes = 0;  // of keys and scales
  std::int64_t block_stride = 0;
  std::int64_t block_table_stride = 0;
  std::int64_t logits_stride = 0;
};

Layout layout_of(const PagedMqaLogitsArgs& args) {
  const auto or_else = [](std::int64_t given, std::int64_t otherwise) {
    return given == 0 ? otherwise : given;
  };
  const std::int64_t block_bytes = args.block_kv * (args.head_dim + 4);
  return {args.batch * args.next_n, block_bytes, or_else(args.block_stride, block_bytes),
          or_else(args.block_table_stride, ceil_div(args.max_context_len, args.block_kv)),
          or_else(args.logits_stride, args.max_context_len)};
}

bool has_nothing_to_do(const PagedMqaLogitsArgs& args) {
  return args.batch == 0 || args.max_context_len == 0;
}

// ---- Refusals ----

// Products of sizes: each factor is known to be small enough for them.
void check_products(const PagedMqaLogitsArgs& args) {
  const std::int64_t rows = args.next_n * args.num_heads;
  if (args.batch > kMaxRows / rows) {
    kCheck.refuse(
        fmt::format("batch * next_n * num_heads is {} * {} * {}; expected less than 2^31: split "
                    "the batch over several launches",
                    args.batch, args.next_n, args.num_heads));
  }
  const std::int64_t splits = ceil_div(args.max_context_len, cubinet::mqa::kSplitTokens);
  if (args.batch * splits > kMaxRows) {
    kCheck.refuse(
        fmt::format("batch * ceil(max_context_len / {}) is {} * {}; expected less than 2^31: give "
                    "the longest context there can be, or split the batch over several launches",
                    cubinet::mqa::kSplitTokens, args.batch, splits));
  }
}

// Shapes only; whether there is memory behind them is asked when there is something to do.
void check_shape(const PagedMqaLogitsArgs& args) {
  kCheck.logits_type(args.logits_type);
  kCheck.number("next_n", args.next_n, 1, kMaxNextN,
                "give further tokens as another request with the same blocks");
  kCheck.one_of("num_heads", args.num_heads, {16, 32, 64});
  kCheck.one_of("head_dim", args.head_dim, {32, 64, 128});
  kCheck.one_of("block_kv", args.block_kv, {32, 64});
  kCheck.number("batch", args.batch, 0, kMaxRows);
  kCheck.number("max_context_len", args.max_context_len, 0, kMaxPositions);
  kCheck.number("num_workers", args.num_workers, 0, kMaxWorkers);
  check_products(args);
}

void check_strides(const PagedMqaLogitsArgs& args) {
  const Layout layout = layout_of(args);
  kCheck.number("num_blocks", args.num_blocks, 1, kMaxRows);
  const std::int64_t stride = layout.block_stride;
  if (stride < layout.block_bytes || stride >= kStrideEnd || stride % 16 != 0) {
    kCheck.refuse(
        fmt::format("block_stride is {}; expected a multiple of 16 from block_kv * (head_dim + 4) "
                    "({}) to 2^40 - 16: give 0 for blocks without padding",
                    stride, layout.block_bytes));
  }
  if (args.num_blocks > kMaxOffset / stride) {
    kCheck.refuse(fmt::format("num_blocks * block_stride is {} * {}; expected at most 2^60 bytes",
                              args.num_blocks, stride));
  }
  // A table may have fewer columns than the longest context would need.
  kCheck.row_stride("block_table_stride", args.block_table_stride, "one entry", 1, args.batch);
  kCheck.row_stride("logits_stride", args.logits_stride, "max_context_len", args.max_context_len,
                    layout.rows);
}

void check_pointers(const PagedMqaLogitsArgs& args) {
  kCheck.pointer("query", args.query, 16);
  kCheck.pointer("kv_cache", args.kv_cache, 16);
  kCheck.pointer("weights", args.weights, 16);
  kCheck.pointer("context_lens", args.context_lens, 4);
  kCheck.pointer("block_table", args.block_table, 4);
  if (args.schedule != nullptr) kCheck.pointer("schedule", args.schedule, 4);
  kCheck.pointer("logits", args.logits, bytes_of(args.logits_type));
}

// Requires: args.num_workers is not 0.
void check_overlap(const PagedMqaLogitsArgs& args) {
  const Layout layout = layout_of(args);
  const std::int64_t table_columns = args.block_table_stride == 0 ? layout.block_table_stride : 1;
  const std::int64_t element = static_cast<std::int64_t>(bytes_of(args.logits_type));
  kCheck.apart(
      {"logits", args.logits,
       ((layout.rows - 1) * layout.logits_stride + args.max_context_len) * element},
      {{"query", args.query, layout.rows * args.num_heads * args.head_dim},
       {"kv_cache", args.kv_cache,
        (args.num_blocks - 1) * layout.block_stride + layout.block_bytes},
       {"weights", args.weights, layout.rows * args.num_heads * 4},
       {"context_lens", args.context_lens, layout.rows * 4},
       {"block_table", args.block_table,
        ((args.batch - 1) * layout.block_table_stride + table_columns) * 4},
       {"schedule", args.schedule, args.schedule == nullptr ? 0 : (args.num_workers + 1) * 8}});
}

// ---- Launch ----

TensorMapSpec keys_spec(const PagedMqaLogitsArgs& args, const Layout& layout) {
  TensorMapSpec spec = rows_spec(args.kv_cache, args.head_dim, args.block_kv, args.block_kv);
  spec.rank = 3;
  spec.sizes[2] = static_cast<std::uint64_t>(args.num_blocks);
  spec.strides[1] = static_cast<std::uint64_t>(layout.block_stride);
  spec.box[2] = 1;
  // One read of a block in lines of 128 bytes comes faster than in pairs of them: 1.3 % on an H200.
  spec.l2_promotion = L2Promotion::k128Bytes;
  return spec;
}

device::Params make_params(TensorMapSource& maps, const PagedMqaLogitsArgs& args) {
  const Layout layout = layout_of(args);
  device::Params params{};
  params.keys = for_device(maps.map(keys_spec(args, layout)));
  params.queries = for_device(
      maps.map(rows_spec(args.query, args.head_dim, layout.rows * args.num_heads, args.num_heads)));
  params.pages = static_cast<const unsigned char*>(args.kv_cache);
  params.weights = args.weights;
  params.context_lens = args.context_lens;
  params.block_table = args.block_table;
  params.schedule = args.schedule;
  params.logits = args.logits;
  params.page_stride = static_cast<unsigned long long>(layout.block_stride);
  params.block_table_stride = layout.block_table_stride;
  params.logits_stride = layout.logits_stride;
  params.batch = static_cast<unsigned int>(args.batch);
  params.max_context_len = static_cast<unsigned int>(args.max_context_len);
  return params;
}

int computed_tokens_of(const KernelInfo& info) {
  const auto constant = [&info](std::string_view name) {
    return static_cast<int>(info.constant(name).as_int());
  };
  const int tokens = cubinet::mqa::tokens_of_pass(constant("kNextN"), constant("kNumNextNAtoms"));
  return cubinet::mqa::computed_tokens(tokens, constant("kNextNAtom"),
                                       info.constant("kPadOddN").as_bool());
}

void launch(TensorMapSource& maps, const Kernel& kernel, const PagedMqaLogitsArgs& args,
            Stream stream) {
  const device::Params params = make_params(maps, args);
  const KernelInfo& info = kernel.info();
  LaunchConfig config = mqa_launch_config(info, computed_tokens_of(info), args.num_workers);
  config.stream = stream;
  config.programmatic_dependent = args.programmatic_dependent;
  kernel.launch(config, params);
}

}  // namespace

void launch_paged_mqa_logits(TensorMapSource& maps, const Kernel& kernel,
                             const PagedMqaLogitsArgs& args, Stream stream) {
  check_shape(args);
  if (has_nothing_to_do(args)) return;
  check_strides(args);
  check_pointers(args);
  check_overlap(args);
  launch(maps, kernel, args, stream);
}

void paged_mqa_logits(Runtime& runtime, const PagedMqaLogitsArgs& args, Stream stream) {
  check_shape(args);
  if (has_nothing_to_do(args)) return;
  check_strides(args);
  check_pointers(args);
  PagedMqaLogitsArgs whole = args;
  whole.num_workers = workers_or_all(runtime, args.num_workers);
  check_overlap(whole);
  const std::array<Constant, 8> constants{{
      {"kNextN", args.next_n},
      {"kNumHeads", args.num_heads},
      {"kHeadDim", args.head_dim},
      {"kBlockKV", args.block_kv},
      {"LOGITS_TYPE", args.logits_type},
      {"CLEAN_LOGITS", args.clean_logits},
      {"HAS_SCHEDULE", args.schedule != nullptr},
      {"PROGRAMMATIC_DEPENDENT_LAUNCH", args.programmatic_dependent},
  }};
  const Kernel kernel =
      runtime.get_kernel("paged_mqa_logits", constants,
                         Sizes{{"batch", args.batch}, {"max_context_len", args.max_context_len}});
  KeptTensorMaps maps(runtime);
  launch(maps, kernel, whole, stream);
}

void paged_mqa_logits(const PagedMqaLogitsArgs& args, Stream stream) {
  paged_mqa_logits(Runtime::shared(), args, stream);
}

}  // namespace jit::inline v1::kernels
