#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>

#include "kernels/merge_attn_states_launch.hpp"
#include "kernels/mla_prefill_launch.hpp"
#include "kernels/mla_prefill_operands.hpp"
#include "kernels/workers.hpp"

namespace jit::inline v1::kernels {
namespace {

constexpr OperandCheck kCheck("mla_prefill_with_context");
constexpr std::int64_t kMaxChunks = std::int64_t{1} << 20;
constexpr std::int64_t kMaxHeadStride = std::int64_t{1} << 28;  // of merge_attn_states
constexpr std::int64_t kAlignment = 256;
// What has been joined, the next part, and what comes of both.
constexpr std::int64_t kMaxParts = 3;

DType part_type(const MlaPrefillArgs& args) {
  return has_fp8_output(args) ? f32 : args.output_type;
}

std::int64_t aligned(std::int64_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// ---- Workspace ----

// A part is an output without gaps and its LSEs.
struct Part {
  void* output = nullptr;
  float* lse = nullptr;
};

// Layout: parts one after the other, in each the output and then the LSEs.
class Workspace {
 public:
  Workspace(const MlaPrefillArgs& args, std::int64_t chunks, void* memory)
      : rows_(args.num_query_tokens * args.num_heads),
        output_bytes_(aligned(rows_ * args.head_dim_v *
                              static_cast<std::int64_t>(bytes_of(part_type(args))))),
        parts_(chunks == 0 ? 0 : std::min(chunks + 1, kMaxParts)),
        memory_(static_cast<std::byte*>(memory)) {}

  std::int64_t bytes() const { return parts_ * part_bytes(); }
  Part part(std::int64_t index) const {
    std::byte* first = memory_ + index * part_bytes();
    return {first, reinterpret_cast<float*>(first + output_bytes_)};
  }

 private:
  std::int64_t part_bytes() const { return output_bytes_ + aligned(rows_ * 4); }

  std::int64_t rows_;
  std::int64_t output_bytes_;
  std::int64_t parts_;
  std::byte* memory_;
};

// ---- Calls of the chain ----

// The new tokens and the keys of a chunk, all of which they see.
MlaPrefillArgs with_keys_of(const MlaPrefillArgs& args, const MlaContextChunk& chunk) {
  MlaPrefillArgs call = args;
  call.causal = false;
  call.num_key_tokens = chunk.num_key_tokens;
  call.k = chunk.k;
  call.v = chunk.v;
  call.k_rope = chunk.k_rope;
  call.cu_seqlens_k = chunk.cu_seqlens_k;
  call.k_token_stride = chunk.k_token_stride;
  call.k_head_stride = chunk.k_head_stride;
  call.v_token_stride = chunk.v_token_stride;
  call.v_head_stride = chunk.v_head_stride;
  call.k_rope_token_stride = chunk.k_rope_token_stride;
  return call;
}

// The same into a part.
MlaPrefillArgs into(const Part& part, MlaPrefillArgs call) {
  call.output_type = part_type(call);
  call.output = part.output;
  call.lse = part.lse;
  call.output_token_stride = call.output_head_stride = 0;
  call.output_scale = nullptr;
  call.output_group_scales = nullptr;
  call.output_group_size = 0;
  call.output_scale_token_stride = call.output_scale_group_stride = 0;
  call.use_ue8m0_scales = false;
  return call;
}

MergeAttnStatesArgs join(const MlaPrefillArgs& args, const Part& context, const Part& next) {
  MergeAttnStatesArgs merge;
  merge.num_tokens = args.num_query_tokens;
  merge.num_heads = args.num_heads;
  merge.head_size = args.head_dim_v;
  merge.input_type = part_type(args);
  merge.prefix_output = context.output;
  merge.prefix_lse = context.lse;
  merge.suffix_output = next.output;
  merge.suffix_lse = next.lse;
  merge.programmatic_dependent = args.programmatic_dependent;
  return merge;
}

MergeAttnStatesArgs into(const Part& part, MergeAttnStatesArgs merge) {
  merge.output = part.output;
  merge.output_lse = part.lse;
  return merge;
}

MergeAttnStatesArgs into_output(const MlaPrefillArgs& args, MergeAttnStatesArgs merge) {
  merge.output = args.output;
  merge.output_lse = args.lse;
  merge.output_head_stride = args.output_head_stride;
  merge.output_scale = args.output_scale;
  merge.output_group_scales = args.output_group_scales;
  merge.output_group_size = args.output_group_size;
  merge.output_scale_token_stride = args.output_scale_token_stride;
  merge.output_scale_group_stride = args.output_scale_group_stride;
  merge.use_ue8m0_scales = args.use_ue8m0_scales;
  return merge;
}

// ---- Refusals ----

// From row to row of the output, as merge_attn_states steps: from head to head, or of a single head
// from token to token.
std::int64_t row_stride_of(const HeadLayout& output) {
  return output.heads == 1 ? output.token_stride : output.head_stride;
}

void check_output(const HeadLayout& output) {
  if (output.heads > 1 && output.token_stride != output.heads * output.head_stride) {
    kCheck.refuse(
        fmt::format("output_token_stride is {}; expected num_heads * output_head_stride ({}): "
                    "give 0, and pad heads rather than tokens",
                    output.token_stride, output.heads * output.head_stride));
  }
  if (row_stride_of(output) >= kMaxHeadStride) {
    kCheck.refuse(fmt::format("output_{}_stride is {}; expected less than 2^28: give 0 for no gaps",
                              output.heads == 1 ? "token" : "head", row_stride_of(output)));
  }
}

void check_chunk(const OperandCheck& check, const MlaPrefillArgs& call, const Memory& workspace) {
  MlaPrefillOperands operands = mla_operands(check, call);
  if (call.num_key_tokens == 0) return;
  check.pointer("cu_seqlens_k", call.cu_seqlens_k, 4);
  operands.workspace = workspace;
  check_mla_memory(check, call, operands);
}

// Returns: whether there is something to do.
bool check_chain(const MlaPrefillArgs& args, std::span<const MlaContextChunk> chunks,
                 void* workspace) {
  MlaPrefillOperands operands = mla_operands(kCheck, args);
  const auto count = static_cast<std::int64_t>(chunks.size());
  kCheck.number("num_chunks", count, 0, kMaxChunks);
  if (has_nothing_to_do(args)) return false;
  kCheck.pointer("workspace", workspace, kAlignment);
  operands.workspace = {"workspace", workspace, Workspace(args, count, workspace).bytes()};
  check_mla_memory(kCheck, args, operands);
  check_output(operands.output);
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    check_chunk(kCheck.element("chunks", i), with_keys_of(args, chunks[i]), operands.workspace);
  }
  return true;
}

// ---- The chain ----

// Visits the calls of the chain in their order, as operands of the kernels they are of.
//
// Requires: a chunk has keys.
template <class Visitor>
void visit_calls(const MlaPrefillArgs& args, std::span<const MlaContextChunk> chunks,
                 const Workspace& workspace, const Visitor& visit) {
  std::int64_t joined = -1;
  const auto part = [&](std::int64_t steps) {
    return workspace.part((joined + steps) % kMaxParts);
  };
  for (const MlaContextChunk& chunk : chunks) {
    if (chunk.num_key_tokens == 0) continue;
    visit(into(part(1), with_keys_of(args, chunk)));
    if (joined == -1) {
      joined = 0;
      continue;
    }
    visit(into(part(2), join(args, part(0), part(1))));
    joined = (joined + 2) % kMaxParts;
  }
  visit(into(part(1), args));
  visit(into_output(args, join(args, part(0), part(1))));
}

// Gets each kernel, so that none is built between two launches.
struct KernelGetter {
  Runtime& runtime;

  void operator()(const MlaPrefillArgs& call) const { mla_prefill_kernel(runtime, call); }
  void operator()(const MergeAttnStatesArgs& call) const {
    merge_attn_states_kernel(runtime, call);
  }
};

struct Launcher {
  Runtime& runtime;
  TensorMapSource& maps;
  Stream stream;

  void operator()(const MlaPrefillArgs& call) const {
    launch_mla_prefill(maps, mla_prefill_kernel(runtime, call), call, stream);
  }
  void operator()(const MergeAttnStatesArgs& call) const {
    launch_merge_attn_states(merge_attn_states_kernel(runtime, call), call, stream);
  }
};

bool has_keys(const MlaContextChunk& chunk) { return chunk.num_key_tokens != 0; }

}  // namespace

std::int64_t mla_prefill_workspace_bytes(const MlaPrefillArgs& args, std::int64_t num_chunks) {
  mla_operands(kCheck, args);
  kCheck.number("num_chunks", num_chunks, 0, kMaxChunks);
  return has_nothing_to_do(args) ? 0 : Workspace(args, num_chunks, nullptr).bytes();
}

void mla_prefill_with_context(Runtime& runtime, const MlaPrefillArgs& args,
                              std::span<const MlaContextChunk> chunks, void* workspace,
                              Stream stream) {
  if (chunks.empty()) return mla_prefill(runtime, args, stream);
  if (!check_chain(args, chunks, workspace)) return;
  if (std::none_of(chunks.begin(), chunks.end(), has_keys)) {
    return mla_prefill(runtime, args, stream);
  }
  MlaPrefillArgs whole = args;
  whole.num_workers = workers_or_all(runtime, args.num_workers);
  whole.output_head_stride = row_stride_of(mla_operands(kCheck, args).output);
  const Workspace parts(args, static_cast<std::int64_t>(chunks.size()), workspace);
  KeptTensorMaps maps(runtime);
  visit_calls(whole, chunks, parts, KernelGetter{runtime});
  visit_calls(whole, chunks, parts, Launcher{runtime, maps, stream});
}

void mla_prefill_with_context(const MlaPrefillArgs& args, std::span<const MlaContextChunk> chunks,
                              void* workspace, Stream stream) {
  mla_prefill_with_context(Runtime::shared(), args, chunks, workspace, stream);
}

}  // namespace jit::inline v1::kernels
