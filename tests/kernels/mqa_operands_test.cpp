// Operands of the MQA logits kernels as benchmarks and tuning make them, on a fake device whose
// memory is the host's: schedules, bytes, and whether their judge finds what is wrong.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <set>

#include "kernels/mqa_operands.hpp"
#include "kernels/mqa_verdicts.hpp"
#include "kernels/paged_mqa_operands.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/mqa_scores.hpp"
#include "support/fake_driver.hpp"
#include "support/paths.hpp"

namespace jit::test {
namespace {

using testing::FakeCuda;

class Device {
 public:
  Device() {
    FakeCuda::of(jit::testing::kFakeCudaPath).reset();
    driver_ = Driver::open(jit::testing::kFakeCudaPath, nullptr);
    REQUIRE(driver_);
    driver_->ensure_context();
    stream_ = std::make_unique<StreamOwner>(*driver_);
  }
  Driver& driver() { return *driver_; }
  Stream stream() const { return stream_->get(); }

 private:
  std::unique_ptr<Driver> driver_;
  std::unique_ptr<StreamOwner> stream_;
};

// What a right kernel writes, key by key from the operands on the device.
void score_paged(const PagedMqaRequests& requests, const PagedMqaCall& call,
                 const PagedMqaCache& cache, PagedMqaSet& set) {
  const auto dim = static_cast<std::size_t>(requests.shape.head_dim);
  const auto block_kv = static_cast<std::size_t>(requests.shape.block_kv);
  const auto heads = static_cast<std::size_t>(call.num_heads);
  const auto width = static_cast<std::size_t>(requests.max_context_len);
  const auto n = static_cast<std::size_t>(call.next_n);
  for (std::size_t row = 0; row < requests.context_lens.size() * n; ++row) {
    const reference::MqaScorer scorer({1, call.num_heads, requests.shape.head_dim,
                                       set.query.as<std::byte>() + row * heads * dim,
                                       set.weights.as<float>() + row * heads});
    const std::int32_t* const table =
        cache.block_table.as<std::int32_t>() + row / n * (width / block_kv);
    const auto length = static_cast<std::size_t>(set.context_lens.as<std::int32_t>()[row]);
    for (std::size_t position = 0; position < length; ++position) {
      const std::byte* const page =
          cache.pages.as<std::byte>() +
          static_cast<std::size_t>(table[position / block_kv]) * requests.page_bytes();
      reference::MqaScore score;
      scorer.score(page + position % block_kv * dim,
                   page + block_kv * dim + position % block_kv * sizeof(float), 1, &score);
      reference::store_element(call.logits_type, set.logits.as<void>(), row * width + position,
                               score.value);
    }
    const double masked = -std::numeric_limits<double>::infinity();
    for (std::size_t position = length; call.clean_logits && position < width; ++position) {
      reference::store_element(call.logits_type, set.logits.as<void>(), row * width + position,
                               masked);
    }
  }
}

std::vector<std::int64_t> all_of(std::int64_t count) {
  std::vector<std::int64_t> items(static_cast<std::size_t>(count));
  std::iota(items.begin(), items.end(), std::int64_t{0});
  return items;
}

TEST_CASE("operands of paged calls are random, and their judge finds what is wrong",
          "[kernels][mqa]") {
  Device device;
  for (const std::int64_t block_kv : {32, 64}) {
    const PagedMqaRequests requests({5, 300, true, 64, block_kv}, 3);
    const PagedMqaCall call{3, 16, block_kv == 64 ? bf16 : f32, block_kv == 64};
    const MqaDevicePool pool(device.driver(), 64, block_kv, 4);
    PagedMqaCache cache(device.driver(), requests);
    PagedMqaSet set(device.driver(), requests, call, 7);
    cache.fill(pool, device.stream());
    set.fill(pool, device.stream());
    set.logits.fill_async(0xFF, device.stream());
    // Neighbours differ.
    CHECK(std::memcmp(cache.pages.as<void>(), cache.pages.as<std::byte>() + requests.page_bytes(),
                      requests.page_bytes()) != 0);
    const auto verdict = [&](std::vector<std::int64_t> sample) {
      return judge_paged_mqa(requests, call, pool, set.logits.to_vector<std::byte>(), sample);
    };
    CHECK_FALSE(verdict({0}).empty());
    score_paged(requests, call, cache, set);
    CHECK(verdict(all_of(5)).empty());

    const std::size_t bytes = bytes_of(call.logits_type);
    const auto is_found = [&](std::size_t element, std::vector<std::int64_t> sample) {
      auto* const at = set.logits.as<std::byte>() + element * bytes;
      const std::vector<std::byte> right(at, at + bytes);
      at[bytes - 1] ^= std::byte{0x80};
      const bool found = !verdict(std::move(sample)).empty();
      std::copy(right.begin(), right.end(), at);
      return found;
    };
    const auto width = static_cast<std::size_t>(requests.max_context_len);
    CHECK(is_found(0, {0}));
    CHECK(is_found(7 * width + 130, {2}));
    CHECK_FALSE(is_found(7 * width + 130, {1}));  // of another request
    CHECK(is_found(15 * width - 1, {0}));         // beyond every length
  }
}

TEST_CASE("operands of calls that are not paged are random, and their judge finds what is wrong",
          "[kernels][mqa]") {
  Device device;
  for (const MqaRanges ranges : {MqaRanges::kCausal, MqaRanges::kPacked}) {
    for (const bool compressed : {false, true}) {
      const MqaCall call{30, 200, 16, 64, f32, ranges, compressed, !compressed};
      const MqaDevicePool pool(device.driver(), 64, 0, 4);
      MqaSet set(device.driver(), call);
      set.fill(pool, device.stream());
      set.logits.fill_async(0xFF, device.stream());
      auto* const logits = set.logits.as<float>();
      if (call.clean_logits) {
        std::fill_n(logits, 30 * 200, -std::numeric_limits<float>::infinity());
      }
      const std::vector<std::int32_t> starts = call.starts();
      const std::vector<std::int32_t> ends = call.ends();
      CHECK(std::equal(starts.begin(), starts.end(), set.starts.as<std::int32_t>()));
      CHECK(std::equal(ends.begin(), ends.end(), set.ends.as<std::int32_t>()));
      CHECK(ends.back() == 200);
      std::uint64_t seen = 0;
      for (std::size_t token = 0; token < 30; ++token) {
        const reference::MqaScorer scorer({1, 16, 64, set.query.as<std::byte>() + token * 16 * 64,
                                           set.weights.as<float>() + token * 16});
        const auto first = static_cast<std::size_t>(starts[token]);
        for (auto key = first; key < static_cast<std::size_t>(ends[token]); ++key, ++seen) {
          reference::MqaScore score;
          scorer.score(set.keys.as<std::byte>() + key * 64, set.key_scales.as<float>() + key, 1,
                       &score);
          logits[token * 200 + key - (compressed ? first : 0)] = static_cast<float>(score.value);
        }
      }
      CHECK(call.scores() == seen);
      const auto verdict = [&](std::vector<std::int64_t> sample) {
        return judge_mqa(call, pool, set.logits.to_vector<std::byte>(), sample);
      };
      CHECK(verdict({}).empty());
      logits[29 * 200 + (compressed ? 20 : 190)] += 20;
      CHECK_FALSE(verdict({29}).empty());
      CHECK(verdict({28}).empty());
    }
  }
}

TEST_CASE("packed sequences divide tokens and keys", "[kernels][mqa]") {
  const MqaCall call{10, 42, 16, 64, f32, MqaRanges::kPacked};
  CHECK(call.starts() == std::vector<std::int32_t>{0, 0, 0, 10, 10, 21, 21, 21, 31, 31});
  CHECK(call.ends() == std::vector<std::int32_t>{8, 9, 10, 20, 21, 29, 30, 31, 41, 42});
}

TEST_CASE("requests take random blocks, each once", "[kernels][mqa]") {
  const PagedMqaRequests requests({40, 1000, true, 128, 64}, 5);
  std::set<std::int32_t> seen;
  std::int64_t used = 0;
  for (std::size_t request = 0; request < 40; ++request) {
    const std::int32_t length = requests.context_lens[request];
    CHECK(length >= 700);
    CHECK(length <= 1300);
    const auto stride = static_cast<std::size_t>(requests.max_context_len / 64);
    for (std::size_t i = 0; i < stride; ++i) {
      const std::int32_t block = requests.block_table[request * stride + i];
      const bool inside = static_cast<std::int32_t>(i) * 64 < length;
      REQUIRE((inside ? block >= 0 : block == -1));
      if (inside) seen.insert(block), ++used;
    }
  }
  CHECK(used == requests.num_blocks);
  CHECK(seen.size() == static_cast<std::size_t>(used));
  CHECK_FALSE(std::is_sorted(requests.block_table.begin(), requests.block_table.begin() + 8));
  CHECK(requests.max_context_len % 256 == 0);
  const std::vector<std::int32_t> lens = requests.token_lens(3);
  CHECK(lens[3] == requests.context_lens[1] - 2);
  CHECK(lens[5] == requests.context_lens[1]);
  const std::vector<std::int32_t> table = requests.table_of(2);
  CHECK(table.size() == 2 * requests.block_table.size());
}

TEST_CASE("a launch moves at least the bytes that are counted", "[kernels][mqa]") {
  const PagedMqaRequests requests({256, 8192, false, 128, 64}, 1);
  const PagedMqaCall call{3, 64, f32, false};
  // 2^21 keys of 132 bytes, three scores each, 768 queries of 64 heads, lengths and blocks.
  CHECK(paged_mqa_bytes(requests, call) ==
        2097152ULL * (132 + 12) + 768ULL * 64 * 132 + 768 * 4 + 32768 * 4);
  CHECK(paged_mqa_flops(requests, call) == 2.0 * 3 * 2097152 * 64 * 128);
}

TEST_CASE("logits that were right once are compared in memory, others judged where they differ",
          "[kernels][mqa]") {
  std::vector<std::vector<std::int64_t>> asked;
  std::string answer;
  MqaVerdicts verdicts(
      [&](std::span<const std::byte>, std::span<const std::int64_t> items) {
        asked.emplace_back(items.begin(), items.end());
        return answer;
      },
      100, 2, 1);
  std::vector<std::byte> logits(1000);
  answer = "wrong";
  CHECK(verdicts(logits) == "wrong");
  CHECK(asked.back() == std::vector<std::int64_t>{0, 99});
  answer.clear();
  logits[0] = std::byte{1};
  for (int i = 0; i < 30; ++i) CHECK(verdicts(logits).empty());
  const std::size_t enough = asked.size();
  CHECK(enough > 5);
  CHECK(enough < 15);
  CHECK(verdicts(logits).empty());
  CHECK(asked.size() == enough);
  logits[777] = std::byte{1};
  answer = "wrong again";
  CHECK(verdicts(logits) == "wrong again");
  CHECK(asked.back().size() == 3);
  CHECK(asked.back().back() == 77);
  // What differs and is right is judged each time.
  answer.clear();
  CHECK(verdicts(logits).empty());
  CHECK(verdicts(logits).empty());
  CHECK(asked.size() == enough + 3);
}

}  // namespace
}  // namespace jit::test
