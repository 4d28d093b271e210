// The public grid of paged_mqa_logits: large batches over one cache of 4.6 GB. Requests are sampled
// for the reference; of all others it is looked whether each score was written and nothing else.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "gpu/paged_mqa_device.hpp"

namespace jit::test {
namespace {

constexpr std::int64_t kDim = 128;
constexpr std::int64_t kBlock = 64;
constexpr std::size_t kBlockBytes = kBlock * (kDim + 4);
constexpr std::int64_t kBlocks = 4096 * 8192 / kBlock * 31 / 30;
constexpr std::int64_t kBlocksAtOnce = 2048;
constexpr std::size_t kSampled = 32;

struct Shape {
  std::int64_t batch;
  std::int64_t average;
};

// The cache on the device: block i is mqa_pool's.
DeviceBuffer make_cache() {
  DeviceBuffer cache(driver(), static_cast<std::size_t>(kBlocks) * kBlockBytes);
  const MqaPool& pool = mqa_pool(kDim);
  const auto parts = static_cast<std::size_t>((kBlocks + kBlocksAtOnce - 1) / kBlocksAtOnce);
  const auto failures = run_on_threads(parts, [&](std::size_t part) -> std::string {
    driver();
    const std::int64_t first = static_cast<std::int64_t>(part) * kBlocksAtOnce;
    const std::int64_t count = std::min(kBlocksAtOnce, kBlocks - first);
    std::vector<std::byte> bytes(static_cast<std::size_t>(count) * kBlockBytes);
    for (std::int64_t i = 0; i < count; ++i) {
      pool.write_block(bytes.data() + static_cast<std::size_t>(i) * kBlockBytes, kBlock,
                       static_cast<std::uint64_t>(first + i));
    }
    driver().check(driver().api().copy_to_device(
                       cache.address() + static_cast<std::uint64_t>(first) * kBlockBytes,
                       bytes.data(), bytes.size()),
                   "upload blocks", "cuMemcpyHtoD");
    return {};
  });
  CHECK(failures.empty());
  synchronize(driver());
  return cache;
}

// Which requests are computed, and a host cache of their blocks alone.
struct Sample {
  std::vector<std::int64_t> requests;
  std::vector<std::byte> cache;
  std::vector<std::int32_t> table;
};

Sample draw_sample(const PagedMqaCase& paged, const std::vector<std::int32_t>& table,
                   std::mt19937_64& engine) {
  Sample sample;
  std::vector<std::int32_t> any = random_permutation(paged.batch, engine());
  any.resize(std::min(any.size(), kSampled));
  sample.requests.assign(any.begin(), any.end());
  sample.table = table;
  std::vector<std::int32_t> blocks;
  for (const std::int64_t request : sample.requests) {
    const std::int64_t count = (paged.longest(request) + kBlock - 1) / kBlock;
    for (std::int64_t i = 0; i < count; ++i) {
      std::int32_t& entry =
          sample.table[static_cast<std::size_t>(request * paged.table_stride() + i)];
      blocks.push_back(entry);
      entry = static_cast<std::int32_t>(blocks.size() - 1);
    }
  }
  sample.cache.resize(blocks.size() * kBlockBytes);
  for (std::size_t i = 0; i < blocks.size(); ++i) {
    mqa_pool(kDim).write_block(sample.cache.data() + i * kBlockBytes, kBlock,
                               static_cast<std::uint64_t>(blocks[i]));
  }
  return sample;
}

PagedMqaCase public_case(const Shape& shape, std::int64_t next_n, std::int64_t heads, DType type) {
  PagedMqaCase paged;
  paged.batch = shape.batch;
  paged.next_n = next_n;
  paged.num_heads = heads;
  paged.type = type;
  paged.scheduled = true;
  paged.seed = run_seed() + static_cast<std::uint64_t>(shape.average + next_n * 7 + heads);
  paged.lengths = random_context_lens(shape.batch, next_n, shape.average, paged.seed);
  paged.max_context_len = *std::max_element(paged.lengths.begin(), paged.lengths.end());
  paged.row_padding = (256 - paged.max_context_len % 256) % 256;
  return paged;
}

std::vector<std::int32_t> make_table(const PagedMqaCase& paged, std::mt19937_64& engine) {
  const std::vector<std::int32_t> places = random_permutation(kBlocks, engine());
  std::vector<std::int32_t> table(static_cast<std::size_t>(paged.batch * paged.table_stride()), -1);
  std::size_t next = 0;
  for (std::int64_t request = 0; request < paged.batch; ++request) {
    const std::int64_t count = (paged.longest(request) + kBlock - 1) / kBlock;
    for (std::int64_t i = 0; i < count; ++i) {
      table[static_cast<std::size_t>(request * paged.table_stride() + i)] = places.at(next++);
    }
  }
  return table;
}

// Operands on the device beside the cache, without guards: these buffers are large.
struct PublicDevice {
  PublicDevice(const PagedMqaCase& paged, const PagedMqaInputs& inputs)
      : query(DeviceBuffer::of<std::byte>(driver(), inputs.query)),
        weights(DeviceBuffer::of<float>(driver(), inputs.weights)),
        lengths(DeviceBuffer::of<std::int32_t>(driver(), paged.lengths)),
        table(DeviceBuffer::of<std::int32_t>(driver(), inputs.table)),
        schedule(driver(), 1025 * 8),
        logits(driver(), reference::logits_bytes_of(problem_of(paged, inputs))) {
    synchronize(driver());
  }
  DeviceBuffer query, weights, lengths, table, schedule, logits;
};

void launch(const PagedMqaCase& paged, const DeviceBuffer& cache, PublicDevice& device,
            Stream stream) {
  kernels::PagedMqaLogitsMetadataArgs metadata;
  metadata.batch = paged.batch;
  metadata.next_n = paged.next_n;
  metadata.max_context_len = paged.max_context_len;
  metadata.context_lens = device.lengths.as<std::int32_t>();
  metadata.schedule = device.schedule.as<std::int32_t>();
  kernels::PagedMqaLogitsArgs args;
  args.batch = paged.batch;
  args.next_n = paged.next_n;
  args.num_heads = paged.num_heads;
  args.num_blocks = kBlocks;
  args.max_context_len = paged.max_context_len;
  args.logits_type = paged.type;
  args.query = device.query.as<void>();
  args.kv_cache = cache.as<void>();
  args.weights = device.weights.as<float>();
  args.context_lens = metadata.context_lens;
  args.block_table = device.table.as<std::int32_t>();
  args.schedule = metadata.schedule;
  args.logits = device.logits.as<void>();
  args.logits_stride = paged.logits_stride();
  device.logits.fill_async(0xFF, stream);
  kernels::paged_mqa_logits_metadata(mqa_runtime(), metadata, stream);
  kernels::paged_mqa_logits(mqa_runtime(), args, stream);
}

void check_case(const PagedMqaCase& paged, const DeviceBuffer& cache) {
  std::mt19937_64 engine(paged.seed);
  // A case without a cache of its own.
  PagedMqaInputs inputs;
  const auto heads = static_cast<std::size_t>(paged.rows() * paged.num_heads);
  inputs.query.resize(heads * kDim);
  inputs.weights.resize(heads);
  mqa_pool(kDim).write_queries(inputs.query.data(), engine(), heads);
  mqa_pool(kDim).write_weights(inputs.weights.data(), engine(), heads);
  inputs.table = make_table(paged, engine);
  PublicDevice device(paged, inputs);
  const StreamOwner stream(driver());
  launch(paged, cache, device, stream.get());
  stream.synchronize();

  const auto logits = device.logits.to_vector<std::byte>();
  const Sample sample = draw_sample(paged, inputs.table, engine);
  reference::PagedMqaProblem problem = problem_of(paged, inputs);
  problem.kv_cache = sample.cache.data();
  problem.block_table = sample.table.data();
  reference::MqaCheckOptions options;
  options.sample = sample.requests;
  const reference::MqaCheck check = reference::check_paged_mqa(problem, logits.data(), options);
  CHECK(failure_of(check, paged.type) == "");
  fmt::print("  b={:<4} L={:<5} n={} h={} {:4}: {}\n", paged.batch, paged.max_context_len,
             paged.next_n, paged.num_heads, name_of(paged.type), check.text());
}

TEST_CASE("paged_mqa_logits is right over the public grid", "[paged_mqa][public]") {
  const DeviceBuffer cache = make_cache();
  fmt::print("public grid of paged_mqa_logits, again with --rng-seed {}\n", run_seed());
  for (std::size_t i = 0; i < 3 * 3 * 2 * 2; ++i) {
    const Shape shape = std::array{Shape{256, 8192}, Shape{256, 32768}, Shape{4096, 8192}}[i / 12];
    const std::int64_t next_n = 1 + static_cast<std::int64_t>(i / 4 % 3);
    const PagedMqaCase paged =
        public_case(shape, next_n, i / 2 % 2 == 0 ? 64 : 32, i % 2 == 0 ? f32 : bf16);
    CAPTURE(paged.text());
    check_case(paged, cache);
  }
}

}  // namespace
}  // namespace jit::test
