// The chain with context: chunks of keys before the new tokens, attended to apart and joined, are
// one attention over all of them.
#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <list>

#include "gpu/images.hpp"
#include "gpu/mla_prefill_device.hpp"
#include "gpu/mla_prefill_judge.hpp"
#include "load/graph.hpp"

namespace jit::test {
namespace {

// A call with context: the new tokens, and chunks, whose queries do not count.
struct ContextCase {
  MlaCase own;
  std::vector<MlaCase> chunks;
};

MlaCase chunk_of(const MlaCase& own, std::vector<std::int32_t> lengths, MlaLayout layout,
                 std::uint64_t seed) {
  MlaCase chunk = own;
  chunk.query_lengths.assign(lengths.size(), 0);
  chunk.key_lengths = std::move(lengths);
  chunk.layout = layout;
  chunk.seed = seed;
  return chunk;
}

// Four sequences: without context, with some in one chunk, in all, with more than new tokens.
ContextCase ordinary_case() {
  ContextCase context;
  MlaCase& own = context.own;
  own.query_lengths = {200, 129, 64, 300};
  own.heads = own.kv_heads = 4;
  own.seed = run_seed();
  const std::uint64_t seed = own.seed;
  context.chunks.push_back(chunk_of(own, {0, 128, 300, 256}, MlaLayout::kPacked, seed + 1));
  context.chunks.push_back(chunk_of(own, {0, 0, 129, 256}, MlaLayout::kTail, seed + 2));
  context.chunks.push_back(chunk_of(own, {0, 0, 1, 77}, MlaLayout::kPadded, seed + 3));
  for (MlaCase& chunk : context.chunks) chunk.outside = 5;
  return context;
}

void set_heads(ContextCase& context, std::int64_t heads) {
  context.own.heads = context.own.kv_heads = heads;
  for (MlaCase& chunk : context.chunks) chunk.heads = chunk.kv_heads = heads;
}

struct ContextInputs {
  MlaInputs own;
  std::vector<MlaInputs> chunks;
};

ContextInputs make_inputs(const ContextCase& context) {
  ContextInputs inputs{make_inputs(context.own), {}};
  for (const MlaCase& chunk : context.chunks) inputs.chunks.push_back(make_inputs(chunk));
  return inputs;
}

kernels::MlaContextChunk chunk_args(const kernels::MlaPrefillArgs& args) {
  kernels::MlaContextChunk chunk;
  chunk.num_key_tokens = args.num_key_tokens;
  chunk.k = args.k;
  chunk.v = args.v;
  chunk.k_rope = args.k_rope;
  chunk.cu_seqlens_k = args.cu_seqlens_k;
  chunk.k_token_stride = args.k_token_stride;
  chunk.k_head_stride = args.k_head_stride;
  chunk.v_token_stride = args.v_token_stride;
  chunk.v_head_stride = args.v_head_stride;
  chunk.k_rope_token_stride = args.k_rope_token_stride;
  return chunk;
}

// All operands on the GPU, and the workspace.
class ContextDevice {
 public:
  ContextDevice(const ContextCase& context, const ContextInputs& inputs)
      : own_(driver(), context.own, inputs.own),
        workspace_(driver(), std::vector<std::byte>(workspace_bytes(context), std::byte{0xFF})) {
    for (std::size_t i = 0; i < context.chunks.size(); ++i) {
      chunks_.emplace_back(driver(), context.chunks[i], inputs.chunks[i]);
    }
  }
  void launch(Stream stream) const {
    std::vector<kernels::MlaContextChunk> chunks;
    for (const MlaDevice& chunk : chunks_) chunks.push_back(chunk_args(chunk.args()));
    kernels::mla_prefill_with_context(mla_runtime(), own_.args(), chunks, workspace_.as<void>(),
                                      stream);
  }
  MlaOutcome download() const { return own_.download(); }
  std::string workspace_damage() const { return workspace_.download().guard_damage(); }

 private:
  std::size_t workspace_bytes(const ContextCase& context) const {
    return static_cast<std::size_t>(
        kernels::mla_prefill_workspace_bytes(own_.args(), std::ssize(context.chunks)));
  }
  MlaDevice own_;
  std::list<MlaDevice> chunks_;
  GuardedBuffer workspace_;
};

MlaOutcome run_context(const ContextCase& context, const ContextInputs& inputs) {
  const ContextDevice device(context, inputs);
  const StreamOwner stream(driver());
  device.launch(stream.get());
  stream.synchronize();
  CHECK(device.workspace_damage() == "");
  return device.download();
}

// The keys of the chunks in order, and then the new ones.
reference::AttentionProblem problem_of(const ContextCase& context, const ContextInputs& inputs) {
  reference::AttentionProblem problem = problem_of(context.own, inputs.own);
  std::vector<reference::AttentionKeys> keys;
  for (std::size_t i = 0; i < context.chunks.size(); ++i) {
    keys.push_back(problem_of(context.chunks[i], inputs.chunks[i]).keys.front());
  }
  keys.push_back(problem.keys.front());
  problem.keys = keys;
  return problem;
}

std::string judge_context(const ContextCase& context, const ContextInputs& inputs,
                          const MlaOutcome& outcome) {
  const std::string wrong = judge_surroundings(context.own, inputs.own, outcome);
  if (!wrong.empty()) return wrong;
  const reference::AttentionProblem problem = problem_of(context, inputs);
  const reference::AttentionReference reference = reference::compute_attention(problem);
  MlaJudging judging;
  judging.threads = 0;
  if (bytes_of(context.own.output_type()) == 2) {
    judging.rules = reference::rules_of_joined_parts(context.chunks.size());
  }
  const reference::AttentionCheck check =
      check_results(context.own, problem, reference, outcome, judging);
  return check.passed() ? "" : check.text();
}

std::vector<MlaCase> outputs() {
  std::vector<MlaCase> all(7);
  all[1].type = f16;
  all[2].type = f32;
  all[3].scale = 0.0625F;
  all[4].scale = 0.005F;
  all[5].group = 64;
  all[6].group = 128;
  all[6].ue8m0 = true;
  return all;
}

void set_output(MlaCase& mla, const MlaCase& output) {
  mla.type = output.type;
  mla.scale = output.scale;
  mla.group = output.group;
  mla.ue8m0 = output.ue8m0;
}

TEST_CASE("mla_prefill with context is one attention over all keys", "[mla_prefill][chain]") {
  for (const bool rope_apart : {false, true}) {
    for (const MlaCase& output : outputs()) {
      ContextCase context = ordinary_case();
      set_output(context.own, output);
      context.own.rope_apart = rope_apart;
      context.own.counters = rope_apart;
      if (rope_apart) set_heads(context, 16);  // many rows
      for (MlaCase& chunk : context.chunks) chunk.rope_apart = rope_apart;
      const ContextInputs inputs = make_inputs(context);
      const MlaOutcome outcome = run_context(context, inputs);
      CAPTURE(context.own.text());
      CHECK(judge_context(context, inputs, outcome) == "");
    }
  }
}

TEST_CASE("mla_prefill with context is right for each number of chunks and kind of heads",
          "[mla_prefill][chain]") {
  for (const std::size_t chunks : {1U, 2U, 3U}) {
    for (const std::int64_t dim : {192, 128, 64}) {
      ContextCase context = ordinary_case();
      context.chunks.resize(chunks);
      context.own.head_dim = dim;
      context.own.head_dim_v = std::min<std::int64_t>(dim, 128);
      context.own.kv_heads = 2;
      context.own.pattern = static_cast<MlaPattern>(chunks);
      for (MlaCase& chunk : context.chunks) {
        chunk.head_dim = dim;
        chunk.head_dim_v = context.own.head_dim_v;
        chunk.kv_heads = 2;
      }
      // Keys of a cache may lie otherwise than those that were just computed.
      context.chunks.front().rope_apart = dim != 64;
      const ContextInputs inputs = make_inputs(context);
      CAPTURE(chunks, dim);
      CHECK(judge_context(context, inputs, run_context(context, inputs)) == "");
    }
  }
}

TEST_CASE("FP8 of mla_prefill with context is its fp32 output, rounded once",
          "[mla_prefill][chain]") {
  ContextCase fp8 = ordinary_case();
  fp8.own.scale = 0.0625F;  // a power of two, by which no product is rounded
  ContextCase exact = ordinary_case();
  exact.own.type = f32;
  const ContextInputs inputs = make_inputs(fp8);
  const MlaBits found = bits_of(run_context(fp8, inputs));
  const MlaBits expected = bits_of(run_context(exact, inputs));
  CHECK(found.lse == expected.lse);
  CHECK(found.output == rounded_output(expected, e4m3, 16.0F));
}

TEST_CASE("without keys in any chunk mla_prefill with context has the bits of mla_prefill",
          "[mla_prefill][chain]") {
  for (const bool has_chunks : {false, true}) {
    ContextCase context = ordinary_case();
    context.own.scale = 0.1F;
    for (MlaCase& chunk : context.chunks) {
      chunk.key_lengths.assign(4, 0);
      chunk.outside = 0;
    }
    if (!has_chunks) context.chunks.clear();
    const ContextInputs inputs = make_inputs(context);
    const MlaBits expected = bits_of(mla_runtime(), context.own, inputs.own);
    CHECK(bits_of(run_context(context, inputs)) == expected);
  }
}

TEST_CASE("mla_prefill with context gives the same bits each time, captured or not",
          "[mla_prefill][chain][capture]") {
  ContextCase context = ordinary_case();
  context.own.scale = 0.1F;
  const ContextInputs inputs = make_inputs(context);
  const MlaBits expected = bits_of(run_context(context, inputs));
  for (int i = 0; i < 5; ++i) CHECK(bits_of(run_context(context, inputs)) == expected);

  const ContextDevice device(context, inputs);
  const StreamOwner stream(driver());
  StreamCapture capture(driver(), stream.get());
  device.launch(stream.get());
  const GraphExec graph = capture.finish();
  for (int i = 0; i < 5; ++i) {
    graph.launch(stream.get());
    stream.synchronize();
    CHECK(bits_of(device.download()) == expected);
  }
}

}  // namespace
}  // namespace jit::test
