// fp8_attention in graphs, in chains of programmatic dependents, and for lengths of every kind:
// what serving does with it.
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_farm.hpp"
#include "gpu/fp8_attention_judge.hpp"
#include "gpu/replay.hpp"
#include "load/graph.hpp"

namespace jit::test {
namespace {

constexpr std::int32_t kQueries = 607;
constexpr std::int32_t kKeys = 1280;  // 80 pages

std::int32_t uniform_below(std::int32_t end, std::mt19937_64& engine) {
  return std::uniform_int_distribution<std::int32_t>(0, end - 1)(engine);
}

// Other lengths with the same sums, so that all operands have the same sizes.
void draw_lengths(Fp8Case& fp8, std::mt19937_64& engine) {
  const std::size_t count = fp8.query_lengths.size();
  fp8.query_lengths = random_lengths(count, kQueries, engine);
  if (fp8.page_size == 0) {
    fp8.key_lengths = random_lengths(count, kKeys, engine);
    return;
  }
  const auto size = static_cast<std::int32_t>(fp8.page_size);
  fp8.key_lengths = random_lengths(count, kKeys / size, engine);
  for (std::int32_t& length : fp8.key_lengths) {
    if (length != 0) length = length * size - uniform_below(size, engine);
  }
}

Fp8Case replayed_case() {
  Fp8Case fp8;
  fp8.query_lengths.assign(5, 0);
  fp8.query_bound = kQueries;
  fp8.key_bound = kKeys;
  fp8.heads = 8;
  fp8.kv_heads = 2;
  fp8.factors = Fp8Factors::kOrdinary;
  fp8.seed = run_seed();
  return fp8;
}

// Replays with other lengths and other operands at the same addresses.
void check_replays(Fp8Case fp8) {
  std::mt19937_64 engine(run_seed());
  draw_lengths(fp8, engine);
  const Fp8Device device(driver(), fp8, make_inputs(fp8));
  const StreamOwner stream(driver());
  kernels::fp8_attention(fp8_runtime(), device.args(), stream.get());  // the kernel is there
  stream.synchronize();
  StreamCapture capture(driver(), stream.get());
  kernels::fp8_attention(fp8_runtime(), device.args(), stream.get());
  const GraphExec graph = capture.finish();
  for (int round = 0; round < 5; ++round) {
    draw_lengths(fp8, engine);
    fp8.seed = engine();
    const Fp8Inputs inputs = make_inputs(fp8);
    device.refill(inputs);
    graph.launch(stream.get());
    stream.synchronize();
    CAPTURE(fp8.text(), round);
    Fp8Judging judging;
    judging.threads = 0;
    CHECK(judge(fp8, inputs, device.download(), judging).wrong == "");
  }
}

TEST_CASE("fp8_attention is captured and replayed with other lengths", "[fp8_attention][capture]") {
  std::vector<Fp8Case> cases(5, replayed_case());
  cases[1].counters = true;
  cases[1].scale = 0.1F;
  cases[2].page_size = 16;
  cases[3].num_splits = 3;
  cases[4].num_splits = 3;
  cases[4].page_size = 16;
  cases[4].scale = 0.1F;
  warm_up(cases);
  for (const Fp8Case& fp8 : cases) check_replays(fp8);
}

// ---- Programmatic dependents ----

struct Chain {
  Fp8Case fp8;
  Fp8Inputs inputs;
};

// The e4m3 output of one call is the queries of the next: three buffers take turns.
std::vector<std::vector<std::byte>> run_chain(const Chain& chain, bool programmatic) {
  const Fp8Device device(driver(), chain.fp8, chain.inputs);
  std::vector<DeviceBuffer> states;
  for (int i = 0; i < 3; ++i) {
    states.push_back(DeviceBuffer::of<std::uint8_t>(driver(), chain.inputs.q));
  }
  synchronize(driver());
  const StreamOwner stream(driver());
  for (std::size_t i = 0; i < 40; ++i) {
    kernels::Fp8AttentionArgs args = device.args();
    args.q = states[i % 3].as<void>();
    args.output = states[(i + 1) % 3].as<void>();
    args.programmatic_dependent = programmatic;
    kernels::fp8_attention(fp8_runtime(), args, stream.get());
  }
  stream.synchronize();
  std::vector<std::vector<std::byte>> result;
  for (const DeviceBuffer& state : states) result.push_back(state.to_vector<std::byte>());
  return result;
}

Fp8Case chained_case(std::int32_t tokens, bool counters, std::int64_t splits) {
  Fp8Case fp8;
  fp8.query_lengths = {tokens, (tokens + 2) / 3};
  fp8.key_lengths = {tokens + 300, tokens};
  fp8.heads = 4;
  fp8.kv_heads = 4;
  fp8.scale = 0.25F;
  fp8.counters = counters;
  fp8.num_splits = splits;
  fp8.seed = run_seed();
  return fp8;
}

TEST_CASE("a chain of fp8_attention as programmatic dependents gives what it gives in order",
          "[fp8_attention][programmatic]") {
  std::vector<Fp8Case> cases;
  for (const std::int32_t tokens : {1, 130, 600, 2500}) {
    cases.push_back(chained_case(tokens, false, 1));
    cases.push_back(chained_case(tokens, true, 1));
    cases.push_back(chained_case(tokens, false, 3));
  }
  std::vector<Fp8Case> all = cases;
  for (Fp8Case fp8 : cases) {
    fp8.programmatic = false;
    all.push_back(fp8);
  }
  warm_up(all);
  for (const Fp8Case& fp8 : cases) {
    const Chain chain{fp8, make_inputs(fp8)};
    const auto in_order = run_chain(chain, false);
    CAPTURE(fp8.text());
    CHECK(is_lively(in_order[0], static_cast<std::size_t>(fp8.head_dim_v)));
    for (int round = 0; round < 4; ++round) CHECK(run_chain(chain, true) == in_order);
  }
}

// ---- Compiles ----

// Lengths of sequences by their sums; the last sequence may end before the last token.
std::vector<DeviceBuffer> random_sums(std::size_t batches, std::mt19937_64& engine) {
  std::vector<DeviceBuffer> buffers;
  for (std::size_t i = 0; i < batches; ++i) {
    const auto sum = static_cast<std::int32_t>(1 + engine() % 200);
    std::vector<std::int32_t> sums = sums_of(random_lengths(1 + i % 40, sum, engine), 0);
    sums.resize(41, sums.back());
    buffers.push_back(DeviceBuffer::of<std::int32_t>(driver(), sums));
  }
  synchronize(driver());
  return buffers;
}

// Few queries or many; in parts or not; what else may vary does.
kernels::Fp8AttentionArgs random_request(kernels::Fp8AttentionArgs args, std::mt19937_64& engine) {
  const bool decode = engine() % 2 == 0;
  args.num_query_tokens = 200 + static_cast<std::int64_t>(engine() % 601);
  args.num_key_tokens = 200 + static_cast<std::int64_t>(engine() % 601);
  args.max_query_tokens = 1 + static_cast<std::int64_t>(engine() % 8) + (decode ? 0 : 300);
  args.max_key_tokens = 1 + static_cast<std::int64_t>(engine() % 5000);
  args.num_sequences = 1 + static_cast<std::int64_t>(engine() % 40);
  args.num_kv_heads = 1 + static_cast<std::int64_t>(engine() % 4);
  args.num_heads = 8 * args.num_kv_heads;
  args.softmax_scale = 0.01F * static_cast<float>(1 + engine() % 20);
  args.softcap = static_cast<float>(1 + engine() % 50);
  args.window_left = static_cast<std::int64_t>(engine() % 1000);
  args.num_splits = engine() % 2 == 0 ? 1 : 2;
  return args;
}

TEST_CASE("ten thousand requests of random shapes compile no fp8_attention",
          "[fp8_attention][compiles]") {
  constexpr std::size_t kBatches = 64;
  Fp8Case fp8;
  fp8.query_lengths = {800};
  fp8.key_lengths = {800};
  fp8.heads = 32;
  fp8.kv_heads = 4;
  fp8.window_left = 100;
  fp8.softcap = 15;
  fp8.factors = Fp8Factors::kOne;
  fp8.num_splits = 2;
  fp8.seed = run_seed();
  const Fp8Device device(driver(), fp8, make_inputs(fp8));
  std::mt19937_64 engine(run_seed());
  const std::vector<DeviceBuffer> cu_seqlens = random_sums(kBatches, engine);
  const StreamOwner stream(driver());
  for (const std::int64_t splits : {1, 2}) {
    for (const std::int64_t tokens : {1, 800}) {
      kernels::Fp8AttentionArgs args = device.args();
      args.max_query_tokens = tokens;
      args.num_splits = splits;
      kernels::fp8_attention(fp8_runtime(), args, stream.get());
    }
  }
  stream.synchronize();
  const std::uint64_t compiles = fp8_runtime().stats().compiles;
  for (int i = 0; i < 10'000; ++i) {
    kernels::Fp8AttentionArgs args = random_request(device.args(), engine);
    args.cu_seqlens_q = cu_seqlens[engine() % kBatches].as<std::int32_t>();
    args.cu_seqlens_k = cu_seqlens[engine() % kBatches].as<std::int32_t>();
    kernels::fp8_attention(fp8_runtime(), args, stream.get());
  }
  stream.synchronize();
  CHECK(fp8_runtime().stats().compiles == compiles);
  const Fp8Outcome outcome = device.download();
  CHECK(outcome.output.guard_damage() == "");
  CHECK(outcome.lse.guard_damage() == "");
  CHECK(outcome.workspace.guard_damage() == "");
}

}  // namespace
}  // namespace jit::test
