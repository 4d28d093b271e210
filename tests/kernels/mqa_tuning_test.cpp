// The tuning problems of paged_mqa_logits and mqa_logits on a fake device, whose memory is the
// host's: what the reference writes is right, and whatever else is there is found.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "kernels/mqa_tuning.hpp"
#include "kernels/paged_mqa_tuning.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/mqa_scores.hpp"
#include "kernels/tuning_bench.hpp"
#include "mqa_logits/params.h"
#include "paged_mqa_logits/params.h"
#include "support/fake_tensor_map.hpp"

namespace jit::test {
namespace {

namespace paged = cubinet::paged_mqa_logits;
namespace contiguous = cubinet::mqa_logits;

constexpr double kMasked = -std::numeric_limits<double>::infinity();
constexpr std::int64_t kHeads = 16;
constexpr std::int64_t kDim = 64;

// What a tensor map is of.
const std::byte* base_of(const cubinet::TensorMap& map) {
  const std::uint64_t address = testing::FakeTensorMap::read(&map).address;
  return reinterpret_cast<const std::byte*>(address);  // NOLINT(performance-no-int-to-ptr)
}

double score_of(const std::byte* query, const float* weights, const std::byte* key,
                const void* scale) {
  const reference::MqaScorer scorer({1, kHeads, kDim, query, weights});
  reference::MqaScore score;
  scorer.score(key, scale, 1, &score);
  return score.value;
}

const std::vector<Constant> kPagedShape{
    {"kNextN", 2},          {"kNumHeads", kHeads},
    {"kHeadDim", kDim},     {"kBlockKV", 64},
    {"LOGITS_TYPE", f32},   {"CLEAN_LOGITS", true},
    {"HAS_SCHEDULE", true}, {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};

TuningBench paged_bench() {
  std::vector<Constant> constants = kPagedShape;
  for (const Constant& constant :
       {Constant{"kNextNAtom", 2}, Constant{"kNumNextNAtoms", 1}, Constant{"kPadOddN", false},
        Constant{"kNumStages", 4}, Constant{"kNumQueryStages", 2}, Constant{"kNumThreads", 384}}) {
    constants.push_back(constant);
  }
  return TuningBench(sizeof(paged::Params), std::move(constants));
}

std::unique_ptr<TuningProblem> paged_problem(TuningBench& bench, const std::vector<Size>& sizes,
                                             std::size_t rotate_bytes) {
  TuningProblemRequest request;
  request.shape = kPagedShape;
  request.sizes = sizes;
  request.seed = 7;
  request.rotate_bytes = rotate_bytes;
  return make_paged_mqa_logits_problem(bench.driver(), request);
}

// What a right kernel writes.
void score_all(const paged::Params& params) {
  auto* const logits = static_cast<float*>(params.logits);
  for (std::size_t row = 0; row < std::size_t{2} * params.batch; ++row) {
    float* const out = logits + row * static_cast<std::size_t>(params.logits_stride);
    const int* const table =
        params.block_table + static_cast<std::ptrdiff_t>(row / 2) * params.block_table_stride;
    const auto length = static_cast<std::size_t>(params.context_lens[row]);
    for (std::size_t p = 0; p < params.max_context_len; ++p) {
      out[p] = static_cast<float>(kMasked);
      if (p >= length) continue;
      const auto* const page = reinterpret_cast<const std::byte*>(params.pages) +
                               static_cast<unsigned long long>(table[p / 64]) * params.page_stride;
      out[p] = static_cast<float>(score_of(base_of(params.queries) + row * kHeads * kDim,
                                           params.weights + row * kHeads, page + p % 64 * kDim,
                                           page + 64 * kDim + p % 64 * 4));
    }
  }
}

TEST_CASE("a right launch of paged_mqa_logits passes, and what is wrong is found",
          "[kernels][tune][mqa]") {
  TuningBench bench = paged_bench();
  const auto problem = paged_problem(bench, {{"batch", 3}, {"context_lens", 150}}, 100'000);
  REQUIRE(problem->sets() >= 2);
  for (const std::size_t set : {std::size_t{0}, problem->sets() - 1}) {
    problem->poison(set, bench.stream());
    CHECK_FALSE(problem->verify(set, bench.stream()).empty());
    const auto params = bench.launch<paged::Params>(*problem, set);
    CHECK(params.batch == 3);
    CHECK(params.schedule != nullptr);
    score_all(params);
    CHECK(problem->verify(set, bench.stream()).empty());
    auto* const logits = static_cast<float*>(params.logits);
    const auto is_found = [&](std::size_t element, float wrong) {
      const float right = std::exchange(logits[element], wrong);
      const std::string found = problem->verify(set, bench.stream());
      logits[element] = right;
      return !found.empty();
    };
    const auto stride = static_cast<std::size_t>(params.logits_stride);
    CHECK(is_found(0, logits[0] + 30));
    CHECK(is_found(2 * stride + 17, -logits[2 * stride + 17] - 30));
    CHECK(is_found(6 * stride - 1, 0.0F));  // masked
    CHECK(is_found(3 * stride + 5, static_cast<float>(kMasked)));
    CHECK(problem->verify(set, bench.stream()).empty());
  }
}

TEST_CASE("paged_mqa_logits is not tuned for nothing", "[kernels][tune][mqa]") {
  TuningBench bench = paged_bench();
  CHECK_THROWS_AS(paged_problem(bench, {{"batch", 0}, {"context_lens", 9}}, 0), Error);
  CHECK_THROWS_AS(paged_problem(bench, {{"batch", 4}}, 0), Error);
}

TEST_CASE("a right launch of mqa_logits passes, and what is wrong is found",
          "[kernels][tune][mqa]") {
  const std::vector<Constant> shape{
      {"kNumHeads", kHeads},   {"kHeadDim", kDim},
      {"LOGITS_TYPE", f32},    {"COMPRESSED_LOGITS", false},
      {"CLEAN_LOGITS", false}, {"PROGRAMMATIC_DEPENDENT_LAUNCH", true}};
  std::vector<Constant> constants = shape;
  for (const Constant& constant : {Constant{"kBlockQ", 4}, Constant{"kNumStages", 4},
                                   Constant{"kNumQueryStages", 2}, Constant{"kNumThreads", 384}}) {
    constants.push_back(constant);
  }
  TuningBench bench(sizeof(contiguous::Params), std::move(constants));
  const std::vector<Size> sizes{{"num_tokens", 20}, {"num_keys", 90}};
  TuningProblemRequest request;
  request.shape = shape;
  request.sizes = sizes;
  request.seed = 7;
  const auto problem = make_mqa_logits_problem(bench.driver(), request);
  problem->poison(0, bench.stream());
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
  const auto params = bench.launch<contiguous::Params>(*problem, 0);
  CHECK(params.num_tokens == 20);
  CHECK(params.num_keys == 90);
  auto* const logits = static_cast<float*>(params.logits);
  const auto stride = static_cast<std::size_t>(params.logits_stride);
  for (std::size_t token = 0; token < 20; ++token) {
    for (auto key = static_cast<std::size_t>(params.starts[token]);
         key < static_cast<std::size_t>(params.ends[token]); ++key) {
      const auto* const scales = reinterpret_cast<const float*>(base_of(params.key_scales));
      logits[token * stride + key] = static_cast<float>(
          score_of(base_of(params.queries) + token * kHeads * kDim, params.weights + token * kHeads,
                   base_of(params.keys) + key * kDim, scales + key));
    }
  }
  CHECK(problem->verify(0, bench.stream()).empty());
  logits[19 * stride + 89] += 30;
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
  logits[19 * stride + 89] -= 30;
  logits[88] = 1;  // beyond the first token's range
  CHECK_FALSE(problem->verify(0, bench.stream()).empty());
}

}  // namespace
}  // namespace jit::test
