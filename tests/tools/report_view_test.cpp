#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <cmath>

#include "cubinet/report/figures.hpp"
#include "cubinet/report/spread_chart.hpp"
#include "cubinet/report/tuning_view.hpp"
#include "tools/report_records.hpp"

using Catch::Approx;
using jit::testing::large_record;
using jit::testing::merge_record;

TEST_CASE("a score is the geometric mean over sizes, and only of what may win") {
  const jit::TuningRecord record = merge_record("prefill");
  const jit::TuningView view = jit::view_of(record);
  CHECK(view.scores[7] == Approx(std::cbrt(6.97 * 21.2 * 77.9)));
  CHECK(view.scores[6] == Approx(1.04 * view.scores[7]));
  CHECK(view.scores[0] == 0);  // refused
  CHECK(view.scores[4] == 0);  // wrong
  CHECK(view.order[0] == 7);
  CHECK(view.best() == view.scores[7]);
  CHECK(view.chosen == 7);
  CHECK(view.untuned == 6);
  CHECK(view.gain().value() == Approx(0.04));
  CHECK(view.size_text(1) == "num_tokens = 1024");
  CHECK(view.common_size_text() == "num_heads = 128");
}

TEST_CASE("a wrong variant is not chosen, whatever the record says") {
  jit::TuningRecord record = merge_record("prefill");
  record.set = record.evidence.variants[4].set;
  record.evidence.variants[4].times = record.evidence.variants[7].times;
  CHECK_FALSE(jit::view_of(record).chosen.has_value());
  CHECK_FALSE(jit::view_of(record).gain().has_value());
}

TEST_CASE("axes are the two tunables with the most values; the rest are facets") {
  const jit::TuningRecord record = large_record();
  const jit::TuningView view = jit::view_of(record);
  const jit::TuningGrid grid = jit::grid_of(view);
  CHECK(grid.rows.name == "kBlockN");
  CHECK(grid.rows.values == std::vector<std::string>{"16", "32", "64", "96", "128"});
  CHECK(grid.columns.name == "kBlockM");
  CHECK(grid.columns.values == std::vector<std::string>{"64", "128", "256"});
  REQUIRE(grid.facets.size() == 4);
  for (const jit::TuningFacet& facet : grid.facets) {
    REQUIRE(facet.cells.size() == 15);
    // Row by row: the second cell of the third row is kBlockN=64, kBlockM=128.
    const auto& set = view.variant(facet.cells[2 * 3 + 1]).set;
    CHECK(jit::text_of(set[0]) == "128");
    CHECK(jit::text_of(set[1]) == "64");
    CHECK(set[2] == facet.rest[0]);
    CHECK(set[3] == facet.rest[1]);
  }
}

TEST_CASE("one tunable is a column, none is one cell, and a hole in the space stays a hole") {
  jit::TuningRecord record = merge_record("decode");
  auto& variants = record.evidence.variants;
  variants.erase(variants.begin() + 2);
  jit::TuningGrid grid = jit::grid_of(jit::view_of(record));
  REQUIRE(grid.facets.size() == 1);
  CHECK(grid.facets[0].cells[2 * 2] == jit::kNoVariant);
  CHECK(grid.facets[0].cells[2 * 2 + 1] == 5);
  variants.resize(3);
  const jit::TuningView column = jit::view_of(record);
  grid = jit::grid_of(column);
  CHECK(grid.rows.values.size() == 3);
  CHECK(grid.columns.name.empty());
  CHECK(column.fixed.size() == 1);
  variants.resize(1);
  grid = jit::grid_of(jit::view_of(record));
  CHECK(grid.facets[0].cells == std::vector<std::size_t>{0});
}

TEST_CASE("an axis goes over its values in round steps") {
  const jit::AxisScale scale = jit::scale_over(6.94, 7.48);
  CHECK(scale.low == Approx(6.8));
  CHECK(scale.high == Approx(7.6));
  CHECK(scale.step == Approx(0.2));
  CHECK(scale.ticks().size() == 5);
  CHECK(scale.share(7.2) == Approx(0.5));
  const jit::AxisScale none = jit::scale_over(5, 5);
  CHECK(none.high > none.low);
  CHECK(none.ticks().size() >= 2);
  CHECK(none.ticks().size() <= 8);
}

TEST_CASE("bars are of the fastest, the chosen and the untuned") {
  const jit::TuningRecord record = large_record();
  const jit::TuningView view = jit::view_of(record);
  const std::vector<std::size_t> shown = jit::shown_bars(view);
  CHECK(shown.size() == jit::kMaxBars + 1);
  CHECK(shown.front() == view.order.front());
  CHECK(shown.back() == view.untuned.value());
}

TEST_CASE("figures keep their digits") {
  CHECK(jit::time_text(1.6923) == "1.692");
  CHECK(jit::time_text(77.918) == "77.92");
  CHECK(jit::time_text(1234.5) == "1234");
  CHECK(jit::time_text(12.345, 3) == "12.3");
  CHECK(jit::time_text(0) == "-");
  CHECK(jit::time_text(-1) == "-");
  CHECK(jit::percent_text(0.0829) == "8.3 %");
  CHECK(jit::percent_text(0.0042) == "0.42 %");
  CHECK(jit::percent_text(1.2) == "120 %");
  CHECK(jit::slower_text(0.0829) == "+8.3 %");
  CHECK(jit::slower_text(0.36) == "+36 %");
  CHECK(jit::width_text(2) == "100.00%");
  CHECK(jit::shade_of(0) == 0);
  CHECK(jit::shade_of(0.01) == 0);
  CHECK(jit::shade_of(0.011) == 1);
  CHECK(jit::shade_of(3) == 6);
  CHECK(jit::pale_shade_of(32, jit::kRegisterBounds) == 6);
  CHECK(jit::pale_shade_of(255, jit::kRegisterBounds) == 0);
}
