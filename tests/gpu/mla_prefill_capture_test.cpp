// mla_prefill in graphs, in chains of programmatic dependents, and for lengths of every kind: what
// serving does with it.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "gpu/mla_prefill_device.hpp"
#include "gpu/mla_prefill_judge.hpp"
#include "gpu/replay.hpp"
#include "load/graph.hpp"

namespace jit::test {
namespace {

// Replays with other lengths and other operands at the same addresses.
void check_replays(MlaCase mla) {
  std::mt19937_64 engine(run_seed());
  const MlaDevice device(driver(), mla, make_inputs(mla));
  const StreamOwner stream(driver());
  kernels::mla_prefill(mla_runtime(), device.args(), stream.get());  // the kernel is there
  stream.synchronize();
  StreamCapture capture(driver(), stream.get());
  kernels::mla_prefill(mla_runtime(), device.args(), stream.get());
  const GraphExec graph = capture.finish();
  for (int round = 0; round < 5; ++round) {
    const auto sum = static_cast<std::int32_t>(mla.query_tokens());
    mla.query_lengths = random_lengths(mla.query_lengths.size(), sum, engine);
    mla.seed = engine();
    const MlaInputs inputs = make_inputs(mla);
    const kernels::MlaPrefillArgs args = device.args();
    upload(args.cu_seqlens_q, std::as_bytes(std::span(inputs.cu_seqlens_q)));
    upload(args.q, std::as_bytes(std::span(inputs.q)));
    upload(args.k, std::as_bytes(std::span(inputs.k)));
    upload(args.v, std::as_bytes(std::span(inputs.v)));
    graph.launch(stream.get());
    stream.synchronize();
    CAPTURE(mla.text(), round);
    MlaOutcome outcome = device.download();
    // Without cu_seqlens_k those of the queries count, and this buffer is not uploaded again.
    const auto lengths = std::as_bytes(std::span(inputs.cu_seqlens_k));
    std::copy(lengths.begin(), lengths.end(), outcome.cu_seqlens_k.payload().begin());
    MlaJudging judging;
    judging.threads = 0;
    CHECK(judge(mla, inputs, outcome, judging).wrong == "");
  }
}

TEST_CASE("mla_prefill is captured and replayed with other lengths", "[mla_prefill][capture]") {
  for (const bool counters : {false, true}) {
    for (const std::optional<float> scale : {std::optional<float>{}, std::optional<float>{0.1F}}) {
      MlaCase mla;
      mla.query_lengths = {100, 300, 7, 0, 200};
      mla.heads = mla.kv_heads = 4;
      mla.counters = counters;
      mla.scale = scale;
      mla.seed = run_seed();
      check_replays(mla);
    }
  }
}

// ---- Programmatic dependents ----

// The output of one call is the values of the next.
std::vector<std::vector<std::byte>> run_chain(const MlaCase& mla, const MlaInputs& inputs,
                                              bool programmatic) {
  const MlaDevice device(driver(), mla, inputs);
  std::vector<DeviceBuffer> states;
  for (int i = 0; i < 3; ++i) {
    states.push_back(DeviceBuffer::of<std::uint16_t>(driver(), inputs.v));
  }
  synchronize(driver());
  const StreamOwner stream(driver());
  for (std::size_t i = 0; i < 40; ++i) {
    kernels::MlaPrefillArgs args = device.args();
    args.v = states[i % 3].as<void>();
    args.output = states[(i + 1) % 3].as<void>();
    args.programmatic_dependent = programmatic;
    kernels::mla_prefill(mla_runtime(), args, stream.get());
  }
  stream.synchronize();
  std::vector<std::vector<std::byte>> result;
  for (const DeviceBuffer& state : states) result.push_back(state.to_vector<std::byte>());
  return result;
}

TEST_CASE("a chain of mla_prefill as programmatic dependents gives what it gives in order",
          "[mla_prefill][programmatic]") {
  for (const std::int32_t tokens : {1, 130, 600, 2500}) {
    for (const bool counters : {false, true}) {
      MlaCase mla;
      mla.query_lengths = {tokens, tokens / 3};
      mla.heads = mla.kv_heads = 4;
      mla.pattern = MlaPattern::kSharp;
      mla.counters = counters;
      mla.seed = run_seed();
      const MlaInputs inputs = make_inputs(mla);
      const auto in_order = run_chain(mla, inputs, false);
      CAPTURE(tokens, counters);
      CHECK((tokens == 1 || is_lively(in_order[0], 256)));
      for (int round = 0; round < 4; ++round) CHECK(run_chain(mla, inputs, true) == in_order);
    }
  }
}

// ---- Compiles ----

TEST_CASE("ten thousand batches of random lengths compile no mla_prefill",
          "[mla_prefill][compiles]") {
  constexpr std::int32_t kTokens = 800;  // of 16 heads: many rows
  constexpr std::size_t kBatches = 64;
  MlaCase mla;
  mla.query_lengths = {kTokens};
  mla.scale = 0.1F;
  mla.seed = run_seed();
  const MlaDevice device(driver(), mla, make_inputs(mla));
  std::mt19937_64 engine(run_seed());
  std::vector<DeviceBuffer> cu_seqlens;
  for (std::size_t i = 0; i < kBatches; ++i) {
    // The last sequence may end before the last token, of queries as of keys.
    const auto sum = static_cast<std::int32_t>(1 + engine() % 200);
    std::vector<std::int32_t> sums{0};
    for (const std::int32_t length : random_lengths(1 + i % 40, sum, engine)) {
      sums.push_back(sums.back() + length);
    }
    sums.resize(41, sums.back());
    cu_seqlens.push_back(DeviceBuffer::of<std::int32_t>(driver(), sums));
  }
  synchronize(driver());
  const StreamOwner stream(driver());
  kernels::MlaPrefillArgs few = device.args();
  few.num_heads = 1;
  kernels::mla_prefill(mla_runtime(), few, stream.get());
  kernels::mla_prefill(mla_runtime(), device.args(), stream.get());
  stream.synchronize();
  const std::uint64_t compiles = mla_runtime().stats().compiles;
  for (int i = 0; i < 10'000; ++i) {
    kernels::MlaPrefillArgs args = device.args();
    args.num_query_tokens = 200 + static_cast<std::int64_t>(engine() % 601);
    args.num_key_tokens = 200 + static_cast<std::int64_t>(engine() % 601);
    args.num_sequences = 1 + static_cast<std::int64_t>(engine() % 40);
    args.num_heads = 1 + static_cast<std::int64_t>(engine() % 16);
    args.softmax_scale = 0.01F * static_cast<float>(1 + engine() % 20);
    args.cu_seqlens_q = cu_seqlens[engine() % kBatches].as<std::int32_t>();
    args.cu_seqlens_k = cu_seqlens[engine() % kBatches].as<std::int32_t>();
    kernels::mla_prefill(mla_runtime(), args, stream.get());
  }
  stream.synchronize();
  CHECK(mla_runtime().stats().compiles == compiles);
  CHECK(device.download().output.guard_damage() == "");
}

}  // namespace
}  // namespace jit::test
