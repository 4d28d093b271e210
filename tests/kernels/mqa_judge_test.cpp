// The judge of the GPU tests of the MQA logits kernels, fed with results made on the host: it lets
// right ones pass, whatever the case, and finds every kind of wrong one.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <limits>

#include "gpu/paged_mqa_case.hpp"
#include "gpu/paged_mqa_plan.hpp"
#include "gpu/paged_mqa_sabotage.hpp"
#include "kernels/reference/element.hpp"
#include "kernels/reference/mqa_scores.hpp"

namespace jit::test {
namespace {

constexpr std::uint64_t kSeed = 20;

Image image_of(std::span<const std::byte> payload) {
  Image image;
  image.front_bytes = kGuardBytes;
  image.bytes.assign(payload.size() + 2 * kGuardBytes, kGuardByte);
  std::copy(payload.begin(), payload.end(), image.payload().begin());
  return image;
}

template <class T>
Image image_of(const std::vector<T>& values) {
  return image_of(std::as_bytes(std::span(values)));
}

// What a kernel with the errors of tensor cores leaves behind in one request.
void score_request(const PagedMqaCase& paged, const PagedMqaInputs& inputs, std::int64_t request,
                   std::byte* logits) {
  const reference::PagedMqaProblem problem = problem_of(paged, inputs);
  const std::int64_t heads = paged.next_n * paged.num_heads;
  const reference::MqaScorer scorer({paged.next_n, paged.num_heads, paged.head_dim,
                                     inputs.query.data() + request * heads * paged.head_dim,
                                     inputs.weights.data() + request * heads});
  std::vector<reference::MqaScore> scores(static_cast<std::size_t>(paged.next_n * paged.block_kv));
  for (std::int64_t first = 0; first < paged.longest(request); first += paged.block_kv) {
    const std::int32_t entry =
        problem.block_table[request * paged.table_stride() + first / paged.block_kv];
    const std::byte* const block = inputs.cache.data() + entry * paged.block_stride();
    scorer.score(block, block + paged.block_kv * paged.head_dim,
                 static_cast<std::size_t>(paged.block_kv), scores.data());
    for (std::int64_t i = 0; i < paged.next_n * paged.block_kv; ++i) {
      const std::int64_t row = request * paged.next_n + i / paged.block_kv;
      const std::int64_t position = first + i % paged.block_kv;
      if (position >= paged.length(row)) continue;
      const reference::MqaScore& score = scores[static_cast<std::size_t>(i)];
      const double error = (i % 3 == 0 ? 2e-4 : -1e-4) * score.magnitude;
      reference::store_element(paged.type, logits,
                               static_cast<std::uint64_t>(row * paged.logits_stride() + position),
                               score.value + error);
    }
  }
}

PagedMqaOutcome right_outcome(const PagedMqaCase& paged, const PagedMqaInputs& inputs) {
  std::vector<std::byte> logits(reference::logits_bytes_of(problem_of(paged, inputs)),
                                paged.poison);
  for (std::int64_t request = 0; request < paged.batch; ++request) {
    score_request(paged, inputs, request, logits.data());
  }
  for (std::int64_t row = 0; paged.clean && row < paged.rows(); ++row) {
    for (std::int64_t p = paged.length(row); p < paged.max_context_len; ++p) {
      reference::store_element(paged.type, logits.data(),
                               static_cast<std::uint64_t>(row * paged.logits_stride() + p),
                               -std::numeric_limits<double>::infinity());
    }
  }
  return {image_of(inputs.query),  image_of(inputs.cache), image_of(inputs.weights),
          image_of(paged.lengths), image_of(inputs.table), image_of(std::span<const std::byte>{}),
          image_of(logits)};
}

TEST_CASE("the judge of paged scores finds every kind of wrong result", "[kernels][mqa]") {
  for (const DType type : {f32, bf16}) {
    for (const bool clean : {false, true}) {
      const PagedMqaCase paged = sabotage_case(type, clean, kSeed);
      const PagedMqaInputs inputs = make_inputs(paged);
      const PagedMqaOutcome right = right_outcome(paged, inputs);
      CAPTURE(paged.text());
      CHECK(judge(paged, inputs, right).wrong == "");
      for (const PagedMqaSabotage& sabotage : paged_mqa_sabotages()) {
        CAPTURE(sabotage.name);
        PagedMqaTrial trial{paged, inputs, right};
        sabotage.apply(trial);
        CHECK(judge(trial.paged, trial.inputs, trial.outcome).wrong != "");
      }
    }
  }
}

// The first position of a row at which the reference is NaN.
std::int64_t first_nan(const PagedMqaCase& paged, const PagedMqaOutcome& outcome,
                       std::int64_t row) {
  for (std::int64_t p = 0; p < paged.length(row); ++p) {
    const auto place = static_cast<std::uint64_t>(row * paged.logits_stride() + p);
    const auto* const logits = outcome.logits.payload().data();
    if (std::isnan(reference::load_element(paged.type, logits, place))) return p;
  }
  return -1;
}

TEST_CASE("a number, or nothing, where a key is NaN is found", "[kernels][mqa]") {
  for (const DType type : {f32, bf16}) {
    PagedMqaCase paged = sabotage_case(type, false, kSeed);
    paged.scales = ScalePattern::kNaN;
    const PagedMqaInputs inputs = make_inputs(paged);
    const PagedMqaOutcome right = right_outcome(paged, inputs);
    CHECK(judge(paged, inputs, right).wrong == "");
    constexpr std::int64_t kRow = 5;
    const std::int64_t position = first_nan(paged, right, kRow);
    REQUIRE(position >= 0);
    const auto place = static_cast<std::uint64_t>(kRow * paged.logits_stride() + position);
    PagedMqaOutcome wrong = right;
    reference::store_element(type, wrong.logits.payload().data(), place, 1.0);
    CHECK(judge(paged, inputs, wrong).wrong != "");
    const std::size_t element = bytes_of(type);
    std::fill_n(wrong.logits.payload().begin() + static_cast<std::ptrdiff_t>(place * element),
                element, paged.poison);
    CHECK(judge(paged, inputs, wrong).wrong != "");
  }
}

TEST_CASE("right results of the grid's cases pass", "[kernels][mqa]") {
  std::vector<PagedMqaCase> cases = plan_paged_mqa_cases(kSeed);
  CHECK(cases.size() == 6 * 3 * 3 * 2 * 3 + 8);
  std::uint64_t scores = 0;
  // Every 23rd: those that take part change with each length of the plan, and are quickly judged.
  for (std::size_t i = 0; i < cases.size(); i += 23) {
    const PagedMqaCase& paged = cases[i];
    if (paged.rows() > 400 || paged.max_context_len > 4096) continue;
    const PagedMqaInputs inputs = make_inputs(paged);
    const PagedMqaVerdict verdict = judge(paged, inputs, right_outcome(paged, inputs));
    CAPTURE(paged.text());
    CHECK(verdict.wrong == "");
    scores += verdict.check.scores;
    CHECK(judge(paged, permuted(paged, inputs, 5), right_outcome(paged, permuted(paged, inputs, 5)))
              .wrong == "");
  }
  CHECK(scores > 10'000);
}

TEST_CASE("the plan of paged_mqa_logits meets every value of every factor", "[kernels][mqa]") {
  const std::vector<PagedMqaCase> cases = plan_paged_mqa_cases(kSeed);
  const auto count = [&](auto matches) {
    return std::count_if(cases.begin(), cases.end(), matches);
  };
  using Case = const PagedMqaCase&;
  for (const DType type : {f32, bf16}) {
    CHECK(count([&](Case c) { return c.type == type && c.clean && c.scheduled; }) > 20);
    CHECK(count([&](Case c) { return c.type == type && !c.clean && !c.scheduled; }) > 20);
  }
  CHECK(count([](Case c) { return c.shared_blocks; }) > 40);
  CHECK(count([](Case c) { return c.block_padding != 0; }) > 40);
  CHECK(count([](Case c) { return c.scales == ScalePattern::kExtreme; }) > 40);
  CHECK(count([](Case c) { return c.scales == ScalePattern::kNaN; }) > 40);
  CHECK(count([](Case c) { return c.weights == WeightPattern::kSparse; }) > 40);
  for (const std::int64_t batch : {1, 2, 31, 32, 33, 131, 132, 133, 256, 4096}) {
    CAPTURE(batch);
    CHECK(count([&](Case c) { return c.batch == batch; }) > 0);
  }
  for (const std::int32_t length : {0, 1, 63, 64, 65, 255, 256, 257, 511, 8192, 131072}) {
    CAPTURE(length);
    CHECK(count([&](Case c) {
            return std::find(c.lengths.begin(), c.lengths.end(), length) != c.lengths.end();
          }) > 0);
  }
}

}  // namespace
}  // namespace jit::test
