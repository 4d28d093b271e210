// What the GPU tests of fp8_attention rest on: their plans have what they are to have, a right
// result passes their judge, and every wrong one is found.
#include <algorithm>
#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <set>

#include "gpu/fp8_attention_judge.hpp"
#include "gpu/fp8_attention_plan.hpp"
#include "gpu/fp8_attention_sabotage.hpp"
#include "kernels/reference/attention_emulator.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

Image image_of(std::span<const std::byte> payload) {
  Image image;
  image.front_bytes = kGuardBytes;
  image.bytes.assign(kGuardBytes, kGuardByte);
  image.bytes.insert(image.bytes.end(), payload.begin(), payload.end());
  image.bytes.resize(image.bytes.size() + kGuardBytes, kGuardByte);
  return image;
}

template <class T>
Image image_of(const std::vector<T>& values) {
  return image_of(std::as_bytes(std::span(values)));
}

// The results of all rows: of the reference or of an emulation.
struct Results {
  const std::vector<reference::AttentionRow>& rows;
  const std::vector<double>& output;
  const std::vector<double>& lse;
};

// Everything as a launch leaves it that has these results, rounded once.
Fp8Outcome outcome_of(const Fp8Case& fp8, const Fp8Inputs& inputs, const Results& results) {
  const HeadsExtent extent = fp8.output();
  const DType type = fp8.output_type();
  std::vector<std::byte> output(extent.elements() * bytes_of(type), fp8.poison);
  std::vector<std::byte> lses(static_cast<std::size_t>(fp8.query_tokens() * fp8.heads) * 4,
                              fp8.poison);
  const auto dim = static_cast<std::size_t>(extent.dim);
  const auto scale = static_cast<double>(fp8.scale.value_or(1.0F));
  for (std::size_t i = 0; i < results.rows.size(); ++i) {
    const reference::AttentionRow& row = results.rows[i];
    const std::size_t first = extent.at(row.token, row.head);
    for (std::size_t e = 0; e < dim; ++e) {
      const double value = results.output[i * dim + e] / scale;
      reference::store_element(type, output.data(), first + e, value);
    }
    if (!fp8.has_lse) continue;
    const auto lse = static_cast<float>(results.lse[i]);
    std::memcpy(lses.data() + (row.head * fp8.query_tokens() + row.token) * 4, &lse, sizeof(lse));
  }
  return {image_of(inputs.q),
          image_of(inputs.k),
          image_of(inputs.v),
          image_of(inputs.cu_seqlens_q),
          image_of(inputs.cu_seqlens_k),
          image_of(inputs.seqused_q),
          image_of(inputs.seqused_k),
          image_of(inputs.page_table),
          image_of(inputs.q_factors),
          image_of(inputs.k_factors),
          image_of(inputs.v_factors),
          image_of(inputs.sinks),
          image_of(output),
          image_of(lses),
          image_of(std::vector<std::byte>(64)),
          image_of(std::vector<std::uint32_t>(2))};
}

Fp8Outcome exact_outcome(const Fp8Case& fp8, const Fp8Inputs& inputs) {
  const reference::AttentionReference exact = reference_of(fp8, inputs);
  return outcome_of(fp8, inputs, {exact.rows, exact.output, exact.lse});
}

// As a kernel with tiles of `block_n` keys leaves it, on tensor cores that keep 13 bits.
Fp8Outcome emulated_outcome(const Fp8Case& fp8, const Fp8Inputs& inputs, std::int64_t block_n) {
  reference::AttentionTiling tiling;
  tiling.block_n = block_n;
  tiling.accumulation_interval = fp8.accum_interval;
  tiling.truncates = true;
  tiling.truncates_scores = true;
  tiling.num_splits = fp8.num_splits;
  const std::int64_t tiles = (fp8.longest_key() + block_n - 1) / block_n;
  tiling.split_tiles = std::max<std::int64_t>(1, (tiles + fp8.num_splits - 1) / fp8.num_splits);
  reference::AttentionOptions options;
  options.threads = 1;
  const auto emulation = reference::emulate_attention(problem_of(fp8, inputs), tiling, options);
  return outcome_of(fp8, inputs, {emulation.rows, emulation.output, emulation.lse});
}

TEST_CASE("the judge of calls of fp8_attention finds every kind of wrong result", "[kernels]") {
  for (const std::optional<float> scale : {std::optional<float>{}, std::optional<float>{0.01F}}) {
    const Fp8Case fp8 = control_case(scale, Catch::getSeed());
    const Fp8Inputs inputs = make_inputs(fp8);
    const Fp8Outcome right = exact_outcome(fp8, inputs);
    CAPTURE(fp8.text());
    CHECK(judge(fp8, inputs, right).wrong == "");
    for (const Fp8Sabotage& sabotage : fp8_sabotages()) {
      CAPTURE(sabotage.name);
      Fp8Launch trial{fp8, inputs, right};
      sabotage.apply(trial);
      CHECK(judge(trial.fp8, trial.inputs, trial.outcome).wrong != "");
    }
  }
}

TEST_CASE("what a right kernel of fp8_attention gives passes its judge", "[kernels]") {
  std::vector<Fp8Case> cases = plan_fp8_cases(Catch::getSeed());
  // Cheap ones of all kinds.
  std::erase_if(cases, [](const Fp8Case& fp8) {
    return fp8.scores() > 8'000 || fp8.query_tokens() * fp8.heads > 1'000;
  });
  REQUIRE(cases.size() > 10);
  for (const Fp8Case& fp8 : cases) {
    const Fp8Inputs inputs = make_inputs(fp8);
    CAPTURE(fp8.text());
    CHECK(judge(fp8, inputs, exact_outcome(fp8, inputs)).wrong == "");
    const std::int64_t block_n = 64 + 32 * static_cast<std::int64_t>(fp8.seed % 6);
    CAPTURE(block_n);
    CHECK(judge(fp8, inputs, emulated_outcome(fp8, inputs, block_n)).wrong == "");
  }
}

template <class Of>
auto all_of_plan(const std::vector<Fp8Case>& cases, const Of& of) {
  std::set<std::decay_t<decltype(of(cases[0]))>> found;
  for (const Fp8Case& fp8 : cases) found.insert(of(fp8));
  return found;
}

TEST_CASE("the plan of fp8_attention has every value of every option", "[kernels]") {
  const std::vector<Fp8Case> cases = plan_fp8_cases(Catch::getSeed());
  const Fp8Kernels kernels = kernels_of(cases);
  // Whatever the seed: what the grid compiles, and how long it takes.
  CHECK(kernels.size() == 174);
  REQUIRE(cases.size() > 500);
  using Numbers = std::set<std::int64_t>;
  for (const Fp8Dims& dims : kFp8Dims) {
    std::vector<Fp8Case> own = cases;
    std::erase_if(own, [&](const Fp8Case& fp8) {
      return fp8.head_dim != dims.qk || fp8.head_dim_v != dims.v;
    });
    CAPTURE(dims.qk, dims.v);
    CHECK(all_of_plan(own, [](const Fp8Case& it) { return it.packed_heads(); }) ==
          Numbers{1, 4, 8, 16});
    CHECK(all_of_plan(own, [](const Fp8Case& it) { return signature_of(it).page_rows; }) ==
          Numbers{0, least_page_size(dims), 4, 16, 64, 128});
    // Neither mask, each, both.
    CHECK(all_of_plan(own, [](const Fp8Case& it) {
            return std::pair(signature_of(it).causal, signature_of(it).window);
          }).size() == 4);
    CHECK(all_of_plan(own, [](const Fp8Case& it) { return it.num_splits; }) == Numbers{1, 2, 3, 5});
    CHECK(all_of_plan(own, [](const Fp8Case& it) { return it.factors; }).size() == kFp8Factors);
    CHECK(all_of_plan(own, [](const Fp8Case& it) { return it.pattern; }).size() == kFp8Patterns);
    CHECK(all_of_plan(own, [](const Fp8Case& it) { return it.layout; }).size() == kFp8Layouts);
  }
  CHECK(all_of_plan(cases, [](const Fp8Case& it) { return it.page_size; }) ==
        Numbers{0, 1, 2, 4, 6, 7, 12, 16, 48, 64, 128, 192, 256});
}

}  // namespace
}  // namespace jit::test
