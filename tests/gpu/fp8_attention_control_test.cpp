// That the check of fp8_attention finds what is wrong, in results of a GPU.
#include <catch2/catch_test_macros.hpp>

#include "gpu/fp8_attention_device.hpp"
#include "gpu/fp8_attention_judge.hpp"
#include "gpu/fp8_attention_sabotage.hpp"

namespace jit::test {
namespace {

TEST_CASE("the check of fp8_attention finds every kind of wrong result",
          "[fp8_attention][controls]") {
  for (const std::optional<float> scale : {std::optional<float>{}, std::optional<float>{0.01F}}) {
    const Fp8Case fp8 = control_case(scale, run_seed());
    const Fp8Inputs inputs = make_inputs(fp8);
    const Fp8Outcome right = run_fp8(fp8, inputs);
    Fp8Judging judging;
    judging.threads = 0;
    CAPTURE(fp8.text());
    CHECK(judge(fp8, inputs, right, judging).wrong == "");
    for (const Fp8Sabotage& sabotage : fp8_sabotages()) {
      CAPTURE(sabotage.name);
      Fp8Launch trial{fp8, inputs, right};
      sabotage.apply(trial);
      CHECK(judge(trial.fp8, trial.inputs, trial.outcome, judging).wrong != "");
    }
  }
}

}  // namespace
}  // namespace jit::test
