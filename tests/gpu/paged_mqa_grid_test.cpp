// The strict grid of paged_mqa_logits: every call of the plan against the float64 reference.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>

#include "gpu/mqa_grid.hpp"
#include "gpu/paged_mqa_device.hpp"
#include "gpu/paged_mqa_plan.hpp"

namespace jit::test {

TEST_CASE("child: precompile a share of the plan of paged_mqa_logits", "[.child]") {
  std::vector<std::vector<Constant>> kernels;
  for (const PagedMqaSignature& signature : signatures_of(plan_paged_mqa_cases(child_seed()))) {
    const auto constants = constants_of(signature);
    kernels.emplace_back(constants.begin(), constants.end());
  }
  compile_share("paged_mqa_logits", kernels);
}

TEST_CASE("paged_mqa_logits is right over the strict grid", "[paged_mqa][grid]") {
  driver();
  const Folder folder;
  const std::vector<PagedMqaCase> cases = plan_paged_mqa_cases(run_seed());
  const std::size_t signatures = signatures_of(cases).size();
  const std::filesystem::path cache = folder.path() / "cache";
  compile_in_children("child: precompile a share of the plan of paged_mqa_logits", cache,
                      folder.path());

  Runtime runtime(options_for_many_kernels(cache));
  MqaSummary summary;
  const auto failures = run_on_threads(cases.size(), [&](std::size_t i) -> std::string {
    const PagedMqaCase& paged = cases[i];
    const PagedMqaInputs inputs = make_inputs(paged);
    const PagedMqaVerdict verdict = judge(paged, inputs, run_paged_mqa(runtime, paged, inputs));
    summary.add(paged.type, verdict.check);
    return verdict.wrong.empty() ? "" : paged.text() + ": " + verdict.wrong;
  });
  fmt::print(
      "strict grid of paged_mqa_logits: {} calls of {} kernels; again with --rng-seed {}\n{}",
      cases.size(), signatures, run_seed(), summary.text());
  report_failures(failures);
  // No batch, length, stride or number of workers is part of a signature. The scheduler has four:
  // for few requests and many, as a dependent or not.
  CHECK(runtime.stats().compiles <= 4);
  CHECK(runtime.stats().disk_hits == signatures);
}

}  // namespace jit::test
