#include "kernels/fp8_attention_operands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "fp8_attention/tile.h"
#include "kernels/fp8_attention_splits.hpp"

namespace jit::inline v1::kernels {
namespace {

namespace device = cubinet::fp8_attention;

constexpr std::int64_t kMostPageRows = 128;
constexpr std::int64_t kMaxAccumInterval = 64;
constexpr std::int64_t kMaxHeadDimOfIntervals = 128;
constexpr std::int64_t kMaxItems = (std::int64_t{1} << 31) - 1;
constexpr std::int64_t kFewestBlockRows = 64;
// A tensor map's stride from one group of packed heads to the next is below 2^40 bytes.
constexpr int kQueryStrideBits = 36;

bool is_paged(const Fp8AttentionArgs& args) { return args.page_table != nullptr; }

// ---- Shapes ----

void check_dims(const OperandCheck& check, const Fp8AttentionArgs& args, std::int64_t head_dim_v) {
  check.one_of("head_dim", args.head_dim, {64, 96, 128, 192, 256});
  if (head_dim_v == args.head_dim || (args.head_dim == 192 && head_dim_v == 128)) return;
  check.refuse(
      fmt::format("head_dim_v is {} beside head_dim {}; expected the same, or 128 beside 192: give "
                  "0 for the same",
                  head_dim_v, args.head_dim));
}

void check_windows(const OperandCheck& check, const Fp8AttentionArgs& args) {
  const auto is = [&](const char* name, std::int64_t value) {
    if (value >= -1) return;
    check.refuse(fmt::format("{} is {}; expected 0 or more, or -1 for unbounded", name, value));
  };
  is("window_left", args.window_left);
  is("window_right", args.window_right);
}

void check_numbers(const OperandCheck& check, const Fp8AttentionArgs& args) {
  if (args.softcap != 0 && !(args.softcap >= 0x1p-32F && args.softcap <= 0x1p32F)) {
    check.refuse(fmt::format("softcap is {}; expected 2^-32 to 2^32, or 0 for none", args.softcap));
  }
  check.number("accum_interval", args.accum_interval, 0, kMaxAccumInterval,
               "1 is every key tile, 0 never");
  if (args.accum_interval > 1 && args.head_dim > kMaxHeadDimOfIntervals) {
    check.refuse(
        fmt::format("accum_interval is {} for head_dim {}; expected 0 or 1 above 128: 1 is the "
                    "most exact",
                    args.accum_interval, args.head_dim));
  }
  // Tiles are counted from the first one of a block of rows: others begin elsewhere.
  if (args.invariant && args.accum_interval > 1) {
    check.refuse(
        fmt::format("accum_interval is {} beside invariant; expected 0 or 1: which tiles are added "
                    "up together depends on the rows of a block",
                    args.accum_interval));
  }
}

void check_splits(const OperandCheck& check, const Fp8AttentionArgs& args) {
  check.number("num_splits", args.num_splits, 0, kMaxSplits,
               "0 is as many as keep the GPU busy, 1 none");
  check.number("workspace_bytes", args.workspace_bytes, 0, kMaxOffset);
  if (args.invariant && args.num_splits > 1) {
    check.refuse(
        fmt::format("num_splits is {} beside invariant; expected 0 or 1: parts of the keys would "
                    "round otherwise than the whole",
                    args.num_splits));
  }
}

// Errors: for a number that does not divide heads_per_kv.
std::int64_t pack_or_most(const OperandCheck& check, std::int64_t given,
                          std::int64_t heads_per_kv) {
  check.one_of("pack_gqa", given, {0, 1, 4, 8, 16});
  if (given != 0 && heads_per_kv % given != 0) {
    check.refuse(
        fmt::format("pack_gqa is {}; expected a divisor of num_heads / num_kv_heads ({}): give 0 "
                    "for the most that divides it",
                    given, heads_per_kv));
  }
  if (given != 0) return given;
  for (const std::int64_t pack : {16, 8, 4}) {
    if (heads_per_kv % pack == 0) return pack;
  }
  return 1;
}

// Blocks have 64 rows or more, of one (sequence, group of heads, part of the keys).
void check_items(const OperandCheck& check, const Fp8AttentionArgs& args, std::int64_t pack) {
  const std::int64_t splits = std::max<std::int64_t>(args.num_splits, 1);
  const std::int64_t blocks =
      (args.num_query_tokens * pack + kFewestBlockRows - 1) / kFewestBlockRows + args.num_sequences;
  if (blocks * (args.num_heads / pack) <= kMaxItems / splits) return;
  check.refuse(fmt::format(
      "num_splits is {} for {} query tokens of {} sequences and {} heads; expected "
      "fewer than 2^31 pieces of work: give 0, or split the heads over several launches",
      args.num_splits, args.num_query_tokens, args.num_sequences, args.num_heads));
}

// ---- Pages ----

void check_no_pages(const OperandCheck& check, const Fp8AttentionArgs& args) {
  struct Field {
    const char* name;
    std::int64_t value;
  };
  for (const Field& field :
       {Field{"page_table_stride", args.page_table_stride}, Field{"max_pages", args.max_pages},
        Field{"num_pages", args.num_pages}, Field{"page_size", args.page_size},
        Field{"k_page_stride", args.k_page_stride}, Field{"v_page_stride", args.v_page_stride}}) {
    if (field.value == 0) continue;
    check.refuse(
        fmt::format("{} is {} without page_table; give the table, or 0 for keys without "
                    "pages",
                    field.name, field.value));
  }
}

void check_pages(const OperandCheck& check, const Fp8AttentionArgs& args, std::int64_t head_dim_v) {
  check.number("page_size", args.page_size, 1, kMaxTokens);
  check.number("num_pages", args.num_pages, 0, kMaxTokens);
  check.number("max_pages", args.max_pages, 0, kMaxTokens);
  const auto check_product = [&](const char* name, std::int64_t pages) {
    if (pages <= kMaxTokens / args.page_size) return;
    check.refuse(fmt::format("{} * page_size is {} * {}; expected at most 2^30 tokens", name, pages,
                             args.page_size));
  };
  check_product("num_pages", args.num_pages);
  check_product("max_pages", args.max_pages);
  const int least = std::max(device::least_copied_rows(static_cast<int>(args.head_dim)),
                             device::least_copied_rows(static_cast<int>(head_dim_v)));
  if (args.page_size % least != 0) {
    check.refuse(
        fmt::format("page_size is {}; expected a multiple of {} for head_dim {}: copies "
                    "are of 128 bytes or more",
                    args.page_size, least, args.head_dim));
  }
  if (args.cu_seqlens_k != nullptr) {
    check.refuse("cu_seqlens_k is given beside page_table; give seqused_k alone");
  }
  check.row_stride("page_table_stride", args.page_table_stride, "max_pages", args.max_pages,
                   args.num_sequences);
}

// The largest power of two that divides a page's tokens.
std::int64_t page_rows_of(std::int64_t page_size) {
  return std::min(page_size & -page_size, kMostPageRows);
}

// ---- Defaults ----

// `given`, or for 0 `most`; more than that there are not.
std::int64_t at_most(std::int64_t given, std::int64_t most) {
  return given == 0 ? most : std::min(given, most);
}

void set_masks(Fp8AttentionOperands& operands, const Fp8AttentionArgs& args) {
  const auto bound = [](std::int64_t given) {
    return given < 0 ? kUnboundedWindow : std::min(given, kUnboundedWindow);
  };
  operands.causal = args.causal || args.window_right == 0;
  operands.window_left = bound(args.window_left);
  operands.window_right = operands.causal ? 0 : bound(args.window_right);
  operands.has_window = operands.window_left < kUnboundedWindow ||
                        (!operands.causal && operands.window_right < kUnboundedWindow);
}

void set_layouts(Fp8AttentionOperands& operands, const Fp8AttentionArgs& args,
                 std::int64_t head_dim_v) {
  const std::int64_t n = args.num_query_tokens;
  const bool paged = is_paged(args);
  const bool takes_own_keys = args.cu_seqlens_k == nullptr && args.num_key_tokens == 0;
  const std::int64_t m = paged ? args.page_size : takes_own_keys ? n : args.num_key_tokens;
  const std::int64_t pages = paged ? args.num_pages : 1;
  const std::int64_t kv_heads = args.num_kv_heads == 0 ? args.num_heads : args.num_kv_heads;
  operands.q =
      with_defaults({n, args.num_heads, args.head_dim, args.q_token_stride, args.q_head_stride});
  operands.k = with_defaults({m, kv_heads, args.head_dim, args.k_token_stride, args.k_head_stride,
                              pages, args.k_page_stride});
  operands.v = with_defaults({m, kv_heads, head_dim_v, args.v_token_stride, args.v_head_stride,
                              pages, args.v_page_stride});
  operands.output = with_defaults(
      {n, args.num_heads, head_dim_v, args.output_token_stride, args.output_head_stride});
  operands.heads_per_kv = kv_heads == 0 ? 1 : args.num_heads / kv_heads;
  operands.max_query_tokens = at_most(args.max_query_tokens, n);
  operands.max_key_tokens = at_most(args.max_key_tokens, paged ? args.max_pages * m : m);
}

// ---- Memory ----

// A factor per (sequence, key head).
void check_descale(const OperandCheck& check, std::string_view name, const Fp8Descale& descale,
                   const Fp8AttentionArgs& args) {
  if (descale.data == nullptr) return;
  const auto check_stride = [&](const char* kind, std::int64_t stride, std::int64_t count) {
    if (stride >= 0 && (count <= 1 || stride <= kMaxOffset / 16 / (count - 1))) return;
    check.refuse(
        fmt::format("{}.{}_stride is {}; expected 0 or more, and offsets below 2^56 for {} {}s: "
                    "give 0 for one factor for all",
                    name, kind, stride, count, kind));
  };
  check_stride("sequence", descale.sequence_stride, args.num_sequences);
  check_stride("head", descale.head_stride,
               args.num_kv_heads == 0 ? args.num_heads : args.num_kv_heads);
  check.pointer(name, descale.data, 4);
}

Memory memory_of(std::string_view name, const Fp8Descale& descale, const Fp8AttentionArgs& args) {
  if (descale.data == nullptr) return {name};
  const std::int64_t heads = args.num_kv_heads == 0 ? args.num_heads : args.num_kv_heads;
  return {
      name, descale.data,
      ((args.num_sequences - 1) * descale.sequence_stride + (heads - 1) * descale.head_stride + 1) *
          4};
}

template <class T>
Memory optional_memory(std::string_view name, const T* first, std::int64_t count) {
  return {name, first, first == nullptr ? 0 : count * 4};
}

void check_overlap(const OperandCheck& check, const Fp8AttentionArgs& args,
                   const Fp8AttentionOperands& operands, std::span<const HeadTensor> tensors) {
  const std::int64_t sequences = args.num_sequences;
  const std::int64_t table = (sequences - 1) * operands.page_table_stride + args.max_pages;
  const std::array<Memory, 4> written{{
      tensors[3].memory(),
      optional_memory("lse", args.lse, args.num_query_tokens * args.num_heads),
      optional_memory("work_counters", args.work_counters, 2),
      {"workspace", args.workspace, args.workspace == nullptr ? 0 : args.workspace_bytes},
  }};
  const std::array<Memory, 13> read{{
      tensors[0].memory(),
      tensors[1].memory(),
      tensors[2].memory(),
      optional_memory("cu_seqlens_q", args.cu_seqlens_q, sequences + 1),
      optional_memory("cu_seqlens_k", operands.cu_seqlens_k, sequences + 1),
      optional_memory("seqused_q", args.seqused_q, sequences),
      optional_memory("seqused_k", args.seqused_k, sequences),
      optional_memory("page_table", args.page_table, table),
      memory_of("q_descale", args.q_descale, args),
      memory_of("k_descale", args.k_descale, args),
      memory_of("v_descale", args.v_descale, args),
      {"sinks", args.sinks, args.sinks == nullptr ? 0 : args.num_heads * 2},
      optional_memory("output_scale", args.output_scale, 1),
  }};
  check_apart(check, written, read);
}

void check_pointers(const OperandCheck& check, const Fp8AttentionArgs& args,
                    const Fp8AttentionOperands& operands) {
  const auto optional = [&check](std::string_view name, const void* pointer,
                                 std::size_t alignment) {
    if (pointer != nullptr) check.pointer(name, pointer, alignment);
  };
  check.pointer("cu_seqlens_q", args.cu_seqlens_q, 4);
  optional("cu_seqlens_k", operands.cu_seqlens_k, 4);
  optional("seqused_q", args.seqused_q, 4);
  if (is_paged(args)) check.pointer("seqused_k", args.seqused_k, 4);
  optional("seqused_k", args.seqused_k, 4);
  optional("page_table", args.page_table, 4);
  optional("sinks", args.sinks, 2);
  optional("lse", args.lse, 4);
  optional("output_scale", args.output_scale, 4);
  optional("work_counters", args.work_counters, 4);
  optional("workspace", args.workspace, kWorkspaceAlignment);
}

void check_workspace(const OperandCheck& check, const Fp8AttentionArgs& args,
                     const Fp8AttentionOperands& operands) {
  if (args.num_splits <= 1) return;
  check.pointer("workspace", args.workspace, kWorkspaceAlignment);
  const std::int64_t bytes = SplitWorkspace(operands, args.num_splits).bytes();
  if (args.workspace_bytes >= bytes) return;
  check.refuse(
      fmt::format("workspace_bytes is {} for num_splits {}; expected {} or more: ask "
                  "fp8_attention_workspace_bytes",
                  args.workspace_bytes, args.num_splits, bytes));
}

}  // namespace

Fp8AttentionOperands fp8_attention_operands(const OperandCheck& check,
                                            const Fp8AttentionArgs& args) {
  const std::int64_t head_dim_v = args.head_dim_v == 0 ? args.head_dim : args.head_dim_v;
  check_counts(check,
               {args.num_sequences, args.num_query_tokens, is_paged(args) ? 0 : args.num_key_tokens,
                args.num_heads, args.num_kv_heads, args.num_workers});
  check.number("max_query_tokens", args.max_query_tokens, 0, kMaxTokens);
  check.number("max_key_tokens", args.max_key_tokens, 0, kMaxTokens);
  check_dims(check, args, head_dim_v);
  check_windows(check, args);
  check_numbers(check, args);
  check_splits(check, args);
  Fp8AttentionOperands operands;
  operands.softmax_scale = softmax_scale_or_default(check, args.softmax_scale, args.head_dim);
  if (is_paged(args)) {
    check_pages(check, args, head_dim_v);
    operands.page_table_stride =
        args.page_table_stride == 0 ? args.max_pages : args.page_table_stride;
    operands.page_rows = page_rows_of(args.page_size);
  } else {
    check_no_pages(check, args);
    operands.cu_seqlens_k = args.cu_seqlens_k == nullptr ? args.cu_seqlens_q : args.cu_seqlens_k;
  }
  set_layouts(operands, args, head_dim_v);
  set_masks(operands, args);
  operands.pack = pack_or_most(check, args.pack_gqa, operands.heads_per_kv);
  operands.element = args.output_scale == nullptr ? bf16 : e4m3;
  check_items(check, args, operands.pack);
  return operands;
}

void check_fp8_attention_memory(const OperandCheck& check, const Fp8AttentionArgs& args,
                                const Fp8AttentionOperands& operands) {
  const std::array<HeadTensor, 4> tensors{{
      {"q", args.q, operands.q, 1, kQueryStrideBits},
      {"k", args.k, operands.k, 1},
      {"v", args.v, operands.v, 1},
      {"output", args.output, operands.output,
       static_cast<std::int64_t>(bytes_of(operands.element))},
  }};
  for (const HeadTensor& tensor : tensors) check_tensor(check, tensor);
  check_rows_apart(check, operands.output);
  check_pointers(check, args, operands);
  check_workspace(check, args, operands);
  check_descale(check, "q_descale", args.q_descale, args);
  check_descale(check, "k_descale", args.k_descale, args);
  check_descale(check, "v_descale", args.v_descale, args);
  check_overlap(check, args, operands, tensors);
}

}  // namespace jit::inline v1::kernels
