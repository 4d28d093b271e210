// The strict grid of mqa_logits: every call of the plan, and shapes of the public grid, against the
// float64 reference.
#include <fmt/format.h>

#include <catch2/catch_test_macros.hpp>

#include "gpu/mqa_device.hpp"
#include "gpu/mqa_grid.hpp"
#include "gpu/mqa_plan.hpp"
#include "gpu/paged_mqa_device.hpp"

namespace jit::test {

TEST_CASE("child: precompile a share of the plan of mqa_logits", "[.child]") {
  std::vector<std::vector<Constant>> kernels;
  for (const MqaSignature& signature : signatures_of(plan_mqa_cases(child_seed()))) {
    const auto constants = constants_of(signature);
    kernels.emplace_back(constants.begin(), constants.end());
  }
  compile_share("mqa_logits", kernels);
}

TEST_CASE("mqa_logits is right over the strict grid", "[mqa][grid]") {
  driver();
  const Folder folder;
  const std::vector<MqaCase> cases = plan_mqa_cases(run_seed());
  const std::size_t signatures = signatures_of(cases).size();
  const std::filesystem::path cache = folder.path() / "cache";
  compile_in_children("child: precompile a share of the plan of mqa_logits", cache, folder.path());

  Runtime runtime(options_for_many_kernels(cache));
  MqaSummary summary;
  const auto failures = run_on_threads(cases.size(), [&](std::size_t i) -> std::string {
    const MqaCase& mqa = cases[i];
    const MqaInputs inputs = make_inputs(mqa);
    const MqaVerdict verdict = judge(mqa, inputs, run_mqa(runtime, mqa, inputs));
    summary.add(mqa.type, verdict.check);
    return verdict.wrong.empty() ? "" : mqa.text() + ": " + verdict.wrong;
  });
  fmt::print("strict grid of mqa_logits: {} calls of {} kernels; again with --rng-seed {}\n{}",
             cases.size(), signatures, run_seed(), summary.text());
  report_failures(failures);
  // No number of tokens or keys, range, width or stride is part of a signature.
  CHECK(runtime.stats().compiles == 0);
  CHECK(runtime.stats().disk_hits == signatures);
}

namespace {

MqaCase public_case(std::int64_t tokens, std::int64_t heads, RangePattern pattern) {
  MqaCase mqa;
  mqa.tokens = tokens;
  mqa.keys = tokens * 2;
  mqa.num_heads = heads;
  mqa.type = pattern == RangePattern::kCausal ? f32 : bf16;
  mqa.compressed = pattern == RangePattern::kWindows;
  mqa.clean = !mqa.compressed;
  mqa.row_padding = 256;
  mqa.seed = run_seed();
  set_ranges(mqa, pattern, mqa.seed);
  return mqa;
}

// One row in sixteen is computed; of the others it is looked whether all was written.
void check_public(const MqaCase& mqa) {
  const MqaInputs inputs = make_inputs(mqa);
  const MqaOutcome outcome = run_mqa(mqa_runtime(), mqa, inputs);
  CAPTURE(mqa.text());
  CHECK(outcome.logits.guard_damage() == "");
  std::vector<std::int64_t> rows;
  for (auto row = static_cast<std::int64_t>(mqa.seed % 16); row < mqa.tokens; row += 16) {
    rows.push_back(row);
  }
  reference::MqaCheckOptions options;
  options.sample = rows;
  const reference::MqaCheck check =
      reference::check_mqa(problem_of(mqa, inputs), outcome.logits.payload().data(), options);
  CHECK(failure_of(check, mqa.type) == "");
  fmt::print("  m={} n={} h={} {:4}: {}\n", mqa.tokens, mqa.keys, mqa.num_heads, name_of(mqa.type),
             check.text());
}

}  // namespace

TEST_CASE("mqa_logits is right over the public grid", "[mqa][public]") {
  for (const std::int64_t tokens : {2048, 4096}) {
    for (const std::int64_t heads : {64, 32}) {
      check_public(public_case(tokens, heads, RangePattern::kCausal));
      check_public(public_case(tokens, heads, RangePattern::kWindows));
    }
  }
}

}  // namespace jit::test
