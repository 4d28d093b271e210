#include <catch2/catch_test_macros.hpp>

#include "gpu/gpu.hpp"
#include "gpu/merge_plan.hpp"

namespace jit::test {
namespace {

TEST_CASE("the plan has every pair of values of any two factors", "[merge][plan]") {
  const std::vector<Levels> rows = pairwise_rows(run_seed());
  CHECK(uncovered_pairs(rows).empty());
  CHECK(rows.size() < 400);
}

TEST_CASE("a plan that lacks a row lacks pairs", "[merge][plan]") {
  std::vector<Levels> rows = pairwise_rows(run_seed());
  std::erase_if(rows, [](const Levels& levels) { return levels[kTokens] == 9; });
  CHECK(uncovered_pairs(rows).size() > 50);
}

TEST_CASE("the same seed gives the same plan, another one another", "[merge][plan]") {
  CHECK(pairwise_rows(7) == pairwise_rows(7));
  CHECK(pairwise_rows(7) != pairwise_rows(8));
}

TEST_CASE("the plan has every kernel that the shape constants give", "[merge][plan]") {
  const std::vector<MergeCase> cases = plan_cases(run_seed());
  // 2 outputs x 2 LSE x 2 buckets, for ten head sizes of f32 and nine of each 16-bit type.
  std::size_t plain = 0;
  for (const MergeSignature& signature : signatures_of(cases)) plain += !signature.programmatic;
  CHECK(plain == 2 * 2 * 2 * (10 + 9 + 9));
  CHECK(cases.size() > 800);
  CHECK(cases.size() < 2000);
}

}  // namespace
}  // namespace jit::test
