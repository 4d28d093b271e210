// The plan and the judge of the GPU tests of mla_prefill, fed with a model of the kernel: right
// results pass, whatever the case, and each fault of the model is found by some case of the plan.
#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "gpu/mla_prefill_judge.hpp"
#include "gpu/mla_prefill_plan.hpp"
#include "kernels/mla_prefill_model.hpp"

namespace jit::test {
namespace {

constexpr std::uint64_t kSeed = 23;

// What takes milliseconds each, the smallest first.
std::vector<MlaCase> small_cases(std::uint64_t seed, std::int64_t max_scores) {
  std::vector<MlaCase> cases = plan_mla_cases(seed);
  std::erase_if(cases, [&](const MlaCase& mla) { return mla.scores() > max_scores; });
  std::ranges::sort(cases, {}, &MlaCase::scores);
  return cases;
}

// A case, and what is right for it.
struct Prepared {
  explicit Prepared(const MlaCase& of)
      : mla(of), inputs(make_inputs(mla)), reference(reference_of(mla, inputs)) {}

  std::string judge_model(MlaFault fault) const {
    const MlaOutcome outcome = run_model(mla, inputs, fault);
    MlaJudging judging;
    MlaOutcome twin;
    if (mla.fp8()) {
      twin = run_model(unquantised(mla), inputs, fault);
      judging.unquantised = &twin;
    }
    return judge(mla, inputs, outcome, reference, judging).wrong;
  }

  MlaCase mla;
  MlaInputs inputs;
  reference::AttentionReference reference;
};

TEST_CASE("a right model of mla_prefill passes the plan", "[kernels][mla_prefill]") {
  for (const MlaCase& mla : small_cases(kSeed, 60'000)) {
    CAPTURE(mla.text());
    CHECK(Prepared(mla).judge_model(MlaFault::kNone) == "");
  }
}

TEST_CASE("every fault of a model of mla_prefill is found by a case of the plan",
          "[kernels][mla_prefill]") {
  std::vector<MlaFault> left;
  for (auto i = 1U; i <= static_cast<unsigned>(kLastMlaFault); ++i) {
    left.push_back(static_cast<MlaFault>(i));
  }
  for (const MlaCase& mla : small_cases(kSeed, 1'000'000)) {
    if (left.empty()) break;
    const Prepared prepared(mla);
    std::erase_if(left, [&](MlaFault fault) { return !prepared.judge_model(fault).empty(); });
  }
  for (const MlaFault fault : left) FAIL_CHECK(name_of(fault));
}

}  // namespace
}  // namespace jit::test
