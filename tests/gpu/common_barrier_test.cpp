// Barriers and bulk copies: common/mbarrier.cuh, bulk copies of common/tma.cuh, common/cluster.cuh.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "gpu/guarded_buffer.hpp"
#include "gpu/runtime_fixture.hpp"
#include "test_bulk/params.h"
#include "test_cluster/params.h"
#include "test_mbarrier/params.h"

namespace jit::test {
namespace {

std::vector<std::uint32_t> random_words(std::size_t count) {
  std::mt19937_64 random(run_seed());
  std::vector<std::uint32_t> words(count);
  for (std::uint32_t& word : words) word = static_cast<std::uint32_t>(random());
  return words;
}

TEST_CASE("phases end when all have arrived and all bytes have landed", "[common][mbarrier]") {
  namespace device = cubinet::test_mbarrier;
  RuntimeFixture fixture;
  Driver& gpu = fixture.gpu();
  constexpr std::uint32_t kBlocks = 264;
  constexpr std::uint32_t kPasses = 200;
  const auto words = random_words(std::size_t{kBlocks} * kPasses * device::kStageWords);
  const auto from = DeviceBuffer::of<std::uint32_t>(gpu, words);
  const std::vector<std::uint32_t> poison(std::size_t{kBlocks} * kPasses * device::kConsumers, 7);
  const auto sums = DeviceBuffer::of<std::uint32_t>(gpu, poison);
  const auto facts =
      DeviceBuffer::of<std::uint32_t>(gpu, std::vector<std::uint32_t>(device::kFacts, 7));
  synchronize(gpu);
  const Kernel kernel = fixture.runtime().get_kernel("test_mbarrier", {});
  kernel.launch({kBlocks}, {128}, nullptr,
                device::Params{from.as<std::uint32_t>(), sums.as<std::uint32_t>(),
                               facts.as<std::uint32_t>(), kPasses, 0});
  synchronize(gpu);
  // As test_mbarrier.cuh notes them.
  const std::vector<std::uint32_t> expected{1, 0, 0, 1, 0, 0, 1, 1, 0, 1, 0, 1, 1};
  CHECK(facts.to_vector<std::uint32_t>() == expected);
  const auto got = sums.to_vector<std::uint32_t>();
  std::size_t wrong = 0;
  for (std::size_t pass = 0; pass < std::size_t{kBlocks} * kPasses; ++pass) {
    std::vector<std::uint32_t> sum(device::kConsumers, 0);
    for (std::size_t i = 0; i < device::kStageWords; ++i) {
      sum[i % device::kConsumers] += words[pass * device::kStageWords + i];
    }
    wrong +=
        std::ranges::equal(sum, std::span(got).subspan(pass * sum.size(), sum.size())) ? 0U : 1U;
  }
  CHECK(wrong == 0);
}

// Bytes at offsets that are odd multiples of 16, so that wider alignment is not taken for granted.
void check_bulk(RuntimeFixture& fixture, std::size_t bytes, std::uint64_t policy) {
  Driver& gpu = fixture.gpu();
  const auto words = random_words(bytes / 4);
  const auto input = std::as_bytes(std::span(words));
  const GuardedBuffer from(gpu, input, 16);
  const GuardedBuffer scratch(gpu, std::vector<std::byte>(bytes), 48);
  const GuardedBuffer to(gpu, std::vector<std::byte>(bytes), 112);
  synchronize(gpu);
  const Kernel kernel = fixture.runtime().get_kernel("test_bulk", {});
  const auto count = static_cast<std::uint32_t>(bytes);
  kernel.launch({.grid = {1}, .block = {128}, .smem_bytes = count + 16},
                cubinet::test_bulk::Params{from.as<unsigned char>(), scratch.as<unsigned char>(),
                                           to.as<unsigned char>(), policy, count, 0});
  synchronize(gpu);
  const Image image = to.download();
  CHECK(std::ranges::equal(image.payload(), input,
                           [](std::byte got, std::byte put) { return got == ~put; }));
  CHECK(image.guard_damage().empty());
  CHECK(scratch.download().guard_damage().empty());
}

TEST_CASE("bulk copies move these bytes and no others", "[common][tma]") {
  RuntimeFixture fixture;
  for (const std::uint64_t policy :
       {0x16F0000000000000U, 0x12F0000000000000U, 0x14F0000000000000U}) {
    for (const std::size_t bytes : {16U, 32U, 48U, 112U, 128U, 1040U, 16384U, 65536U, 200'000U}) {
      CAPTURE(policy, bytes);
      check_bulk(fixture, bytes, policy);
    }
  }
}

void check_cluster(RuntimeFixture& fixture, std::uint32_t size, std::uint32_t clusters) {
  namespace device = cubinet::test_cluster;
  Driver& gpu = fixture.gpu();
  const std::uint32_t blocks = size * clusters;
  const auto words = random_words(std::size_t{blocks} * 4);
  const auto from = DeviceBuffer::of<std::uint32_t>(gpu, words);
  const auto written = DeviceBuffer::of<std::uint32_t>(gpu, std::vector<std::uint32_t>(blocks, 0));
  const DeviceBuffer found(gpu, blocks * sizeof(device::Found));
  synchronize(gpu);
  fixture.runtime()
      .get_kernel("test_cluster", {})
      .launch({.grid = {blocks}, .block = {64}, .cluster = {size}},
              device::Params{from.as<std::uint32_t>(), written.as<std::uint32_t>(),
                             found.as<device::Found>()});
  synchronize(gpu);
  const auto got = found.to_vector<device::Found>();
  for (std::uint32_t block = 0; block < blocks; ++block) {
    CAPTURE(size, block);
    const std::uint32_t rank = block % size;
    const std::uint32_t first = block - rank;
    CHECK(got[block].rank == rank);
    CHECK(got[block].size == size);
    CHECK(got[block].neighbour == 1000 * (first + (rank + 1) % size + 1));
    if (rank != 0) continue;
    std::uint32_t sum = 0;
    std::array<std::uint32_t, 4> landed{};
    for (std::uint32_t i = 0; i < size; ++i) {
      sum += first + i + 1;
      for (std::uint32_t w = 0; w < 4; ++w) landed[w] += words[(first + i) * 4 + w];
    }
    CHECK(got[block].sum == sum);
    CHECK(std::ranges::equal(got[block].landed, landed));
  }
}

TEST_CASE("blocks of a cluster reach each other's memory and barriers", "[common][cluster]") {
  RuntimeFixture fixture;
  for (const std::uint32_t size : {1U, 2U, 3U, 4U, 8U}) check_cluster(fixture, size, 40);
}

}  // namespace
}  // namespace jit::test
