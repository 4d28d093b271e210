// The reference of mqa_logits and its judge, fed with scores that are added as they are written
// down: right ones pass, whatever the case, and every kind of wrong one is found.
#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <limits>

#include "gpu/mqa_case.hpp"
#include "gpu/mqa_plan.hpp"
#include "gpu/mqa_sabotage.hpp"
#include "kernels/reference/element.hpp"

namespace jit::test {
namespace {

constexpr std::uint64_t kSeed = 20;
constexpr double kMasked = -std::numeric_limits<double>::infinity();

template <class T>
Image image_of(const std::vector<T>& values) {
  Image image;
  image.front_bytes = kGuardBytes;
  image.bytes.assign(values.size() * sizeof(T) + 2 * kGuardBytes, kGuardByte);
  const auto bytes = std::as_bytes(std::span(values));
  std::copy(bytes.begin(), bytes.end(), image.payload().begin());
  return image;
}

const std::array<double, 256>& code_values() {
  static const std::array<double, 256> values = [] {
    std::array<double, 256> made{};
    for (std::uint32_t i = 0; i < 256; ++i) {
      made[i] = reference::decode(reference::kE4M3Format, i);
    }
    return made;
  }();
  return values;
}

double score(const MqaCase& mqa, const MqaInputs& inputs, std::int64_t row, std::int64_t key) {
  const auto& values = code_values();
  double sum = 0;
  for (std::int64_t head = row * mqa.num_heads; head < (row + 1) * mqa.num_heads; ++head) {
    double dot = 0;
    for (std::int64_t d = 0; d < mqa.head_dim; ++d) {
      const auto query = inputs.query[static_cast<std::size_t>(head * mqa.head_dim + d)];
      const auto code = inputs.keys[static_cast<std::size_t>(key * mqa.head_dim + d)];
      dot +=
          values[std::to_integer<std::size_t>(query)] * values[std::to_integer<std::size_t>(code)];
    }
    sum +=
        static_cast<double>(inputs.weights[static_cast<std::size_t>(head)]) * (dot < 0 ? 0 : dot);
  }
  return sum * static_cast<double>(inputs.scales[static_cast<std::size_t>(key)]);
}

MqaOutcome right_outcome(const MqaCase& mqa, const MqaInputs& inputs) {
  std::vector<std::byte> logits(reference::logits_bytes_of(problem_of(mqa, inputs)), mqa.poison);
  for (std::int64_t row = 0; row < mqa.tokens; ++row) {
    const std::int64_t start =
        std::clamp<std::int64_t>(mqa.starts[static_cast<std::size_t>(row)], 0, mqa.keys);
    const std::int64_t end =
        std::clamp<std::int64_t>(mqa.ends[static_cast<std::size_t>(row)], 0, mqa.keys);
    for (std::int64_t column = 0; column < mqa.logits_width(); ++column) {
      const std::int64_t key = mqa.compressed ? column + start : column;
      const bool seen = key >= start && key < end;
      if (!seen && !mqa.clean) continue;
      reference::store_element(mqa.type, logits.data(),
                               static_cast<std::uint64_t>(row * mqa.logits_stride() + column),
                               seen ? score(mqa, inputs, row, key) : kMasked);
    }
  }
  return {image_of(inputs.query),   image_of(inputs.keys), image_of(inputs.scales),
          image_of(inputs.weights), image_of(mqa.starts),  image_of(mqa.ends),
          image_of(logits)};
}

TEST_CASE("the judge of unpaged scores finds every kind of wrong result", "[kernels][mqa]") {
  for (const DType type : {f32, bf16}) {
    for (const bool clean : {false, true}) {
      const MqaCase mqa = mqa_sabotage_case(type, clean, kSeed);
      const MqaInputs inputs = make_inputs(mqa);
      const MqaOutcome right = right_outcome(mqa, inputs);
      CAPTURE(mqa.text());
      CHECK(judge(mqa, inputs, right).wrong == "");
      for (const MqaSabotage& sabotage : mqa_sabotages()) {
        CAPTURE(sabotage.name);
        MqaTrial trial{mqa, inputs, right};
        sabotage.apply(trial);
        CHECK(judge(trial.mqa, trial.inputs, trial.outcome).wrong != "");
      }
    }
  }
}

TEST_CASE("right results of the unpaged grid's cases pass", "[kernels][mqa]") {
  const std::vector<MqaCase> cases = plan_mqa_cases(kSeed);
  CHECK(cases.size() == 9 * 16);
  std::uint64_t judged = 0;
  for (const MqaCase& mqa : cases) {
    if (mqa.tokens * mqa.keys * mqa.num_heads * mqa.head_dim > 4'000'000) continue;
    const MqaInputs inputs = make_inputs(mqa);
    const MqaVerdict verdict = judge(mqa, inputs, right_outcome(mqa, inputs));
    CAPTURE(mqa.text());
    CHECK(verdict.wrong == "");
    CHECK(verdict.check.worst_error < 1e-6);
    ++judged;
  }
  CHECK(judged > 30);
}

}  // namespace
}  // namespace jit::test
