// Ten thousand batches and lengths: no kernel is compiled for any of them.
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "gpu/paged_mqa_device.hpp"

namespace jit::test {
namespace {

constexpr int kCalls = 10'000;
constexpr int kJudgedEvery = 400;
constexpr std::int64_t kMaxBatch = 256;
constexpr std::int64_t kMaxLength = 2048;
constexpr std::int64_t kMaxNextN = 3;
constexpr std::size_t kLengths = std::size_t{1} << 16;

// Operands of the largest call; others use a part of them.
struct Pool {
  explicit Pool(std::uint64_t seed) : paged(largest_case(seed)), inputs(make_inputs(paged)) {
    std::mt19937_64 engine(seed);
    std::uniform_int_distribution<std::int32_t> any(-100, kMaxLength + 400);
    for (std::size_t i = 0; i < kLengths; ++i) lengths.push_back(any(engine));
    lengths_buffer = DeviceBuffer::of<std::int32_t>(driver(), lengths);
    logits = DeviceBuffer(driver(), static_cast<std::size_t>(paged.rows() * kMaxLength) * 4);
  }
  static PagedMqaCase largest_case(std::uint64_t seed) {
    PagedMqaCase paged;
    paged.batch = kMaxBatch;
    paged.next_n = kMaxNextN;
    paged.num_heads = 32;
    paged.clean = true;
    paged.max_context_len = kMaxLength;
    paged.lengths.assign(static_cast<std::size_t>(paged.rows()), kMaxLength);
    paged.shared_blocks = true;
    paged.seed = seed;
    return paged;
  }

  PagedMqaCase paged;
  PagedMqaInputs inputs;
  std::vector<std::int32_t> lengths;
  DeviceBuffer lengths_buffer;
  DeviceBuffer logits;
};

struct Call {
  std::int64_t batch, next_n, max_context_len, workers;
  std::size_t first_length;
  bool scheduled;
};

Call draw(std::mt19937_64& engine) {
  Call call{};
  call.batch = 1 + static_cast<std::int64_t>(engine() % kMaxBatch);
  call.next_n = 1 + static_cast<std::int64_t>(engine() % kMaxNextN);
  call.max_context_len = 1 + static_cast<std::int64_t>(engine() % kMaxLength);
  call.workers = 1 + static_cast<std::int64_t>(engine() % 132);
  call.first_length = engine() % (kLengths - kMaxBatch * kMaxNextN);
  call.scheduled = engine() % 2 == 0;
  return call;
}

void launch(const Pool& pool, const PagedMqaDevice& device, const Call& call, Stream stream) {
  static const DeviceBuffer schedule(driver(), 133 * 8);
  kernels::PagedMqaLogitsArgs args = device.args();
  args.batch = call.batch;
  args.next_n = call.next_n;
  args.max_context_len = call.max_context_len;
  args.num_workers = call.workers;
  args.context_lens = pool.lengths_buffer.as<std::int32_t>() + call.first_length;
  args.block_table_stride = pool.paged.table_stride();
  args.logits = pool.logits.as<void>();
  args.logits_stride = kMaxLength;
  if (call.scheduled) {
    kernels::PagedMqaLogitsMetadataArgs metadata;
    metadata.batch = args.batch;
    metadata.next_n = args.next_n;
    metadata.max_context_len = args.max_context_len;
    metadata.num_workers = args.num_workers;
    metadata.context_lens = args.context_lens;
    metadata.schedule = schedule.as<std::int32_t>();
    args.schedule = metadata.schedule;
    kernels::paged_mqa_logits_metadata(mqa_runtime(), metadata, stream);
  }
  kernels::paged_mqa_logits(mqa_runtime(), args, stream);
}

std::string judge_call(const Pool& pool, const Call& call) {
  reference::PagedMqaProblem problem = problem_of(pool.paged, pool.inputs);
  problem.batch = call.batch;
  problem.next_n = call.next_n;
  problem.max_context_len = call.max_context_len;
  problem.context_lens = pool.lengths.data() + call.first_length;
  problem.logits_stride = kMaxLength;
  const auto logits = pool.logits.to_vector<std::byte>();
  return failure_of(reference::check_paged_mqa(problem, logits.data()), f32);
}

TEST_CASE("ten thousand random batches and lengths compile nothing", "[paged_mqa][compiles]") {
  const std::uint64_t seed = run_seed();
  Pool pool(seed);
  const PagedMqaDevice device(driver(), pool.paged, pool.inputs);
  const StreamOwner stream(driver());
  for (std::int64_t next_n = 1; next_n <= kMaxNextN; ++next_n) {
    for (const bool scheduled : {false, true}) {
      launch(pool, device, {1, next_n, 1, 1, 0, scheduled}, stream.get());
    }
  }
  stream.synchronize();
  const std::uint64_t compiles = mqa_runtime().stats().compiles;

  std::mt19937_64 engine(seed);
  for (int i = 0; i < kCalls; ++i) {
    const Call call = draw(engine);
    const bool judged = i % kJudgedEvery == 0;
    if (judged) pool.logits.fill_async(0xFF, stream.get());
    launch(pool, device, call, stream.get());
    if (!judged) continue;
    stream.synchronize();
    CAPTURE(i, call.batch, call.next_n, call.max_context_len, call.workers, call.scheduled);
    CHECK(judge_call(pool, call) == "");
  }
  stream.synchronize();
  CHECK(mqa_runtime().stats().compiles == compiles);
}

TEST_CASE("a batch of nothing launches nothing", "[paged_mqa]") {
  PagedMqaCase paged = Pool::largest_case(run_seed());
  paged.batch = 1;
  paged.lengths.assign(static_cast<std::size_t>(paged.rows()), 5);
  const PagedMqaInputs inputs = make_inputs(paged);
  const PagedMqaDevice device(driver(), paged, inputs);
  kernels::PagedMqaLogitsArgs args = device.args();
  args.batch = 0;
  const StreamOwner stream(driver());
  kernels::paged_mqa_logits(mqa_runtime(), args, stream.get());
  stream.synchronize();
  const PagedMqaOutcome outcome = device.download();
  const auto logits = outcome.logits.payload();
  CHECK(
      std::all_of(logits.begin(), logits.end(), [](std::byte b) { return b == std::byte{0xFF}; }));
}

}  // namespace
}  // namespace jit::test
