// That the check of paged_mqa_logits finds what is wrong: results that were changed, and right
// results that are judged by operands which are not theirs.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cmath>
#include <cstring>

#include "gpu/paged_mqa_device.hpp"
#include "gpu/paged_mqa_sabotage.hpp"

namespace jit::test {
namespace {

TEST_CASE("the check of paged_mqa_logits finds every kind of wrong result",
          "[paged_mqa][control]") {
  for (const DType type : {f32, bf16}) {
    for (const bool clean : {false, true}) {
      const PagedMqaCase paged = sabotage_case(type, clean, run_seed());
      const PagedMqaInputs inputs = make_inputs(paged);
      const PagedMqaOutcome right = run_paged_mqa(mqa_runtime(), paged, inputs);
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

}  // namespace
}  // namespace jit::test
