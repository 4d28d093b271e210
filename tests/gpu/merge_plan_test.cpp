#include <catch2/catch_test_macros.hpp>
#include <set>
#include <string>
#include <tuple>

#include "gpu/gpu.hpp"
#include "gpu/merge_group_plan.hpp"
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

TEST_CASE("the public grid of groups is whole", "[merge][plan]") {
  const std::vector<MergeCase> cases = public_group_cases(run_seed());
  CHECK(cases.size() == 3 * 2 * 2 * 1 * 3 * 4 * 2);
  std::set<std::string> texts;
  for (const MergeCase& merge : cases) {
    MergeCase without_seed = merge;
    without_seed.seed = 0;
    texts.insert(without_seed.text());
    CHECK(merge.context_tokens() == merge.tokens / 2);
  }
  CHECK(texts.size() == cases.size());
}

TEST_CASE("the plan of groups has every kernel, pattern and layout", "[merge][plan]") {
  const std::vector<MergeCase> cases = varied_group_cases(run_seed());
  std::size_t plain = 0;
  for (const MergeSignature& signature : signatures_of(cases)) plain += !signature.programmatic;
  // 3 types x 11 pairs of head size and group x 2 kinds of scale x 2 LSE x 2 buckets; some have
  // programmatic calls alone.
  CHECK(plain > 3 * 11 * 2 * 2 * 2 - 20);
  CHECK(plain <= 3 * 11 * 2 * 2 * 2);
  std::set<std::tuple<DType, std::uint32_t, bool, LsePattern>> patterns;
  std::set<std::tuple<DType, std::uint32_t, ScaleLayout>> layouts;
  for (const MergeCase& merge : cases) {
    patterns.insert({merge.type, merge.group, merge.ue8m0, merge.pattern});
    layouts.insert({merge.type, merge.group, merge.layout});
  }
  CHECK(patterns.size() == 3 * 2 * 2 * 6);
  CHECK(layouts.size() == 3 * 2 * 4);
}

}  // namespace
}  // namespace jit::test
