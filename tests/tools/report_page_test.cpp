#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <limits>
#include <string>
#include <vector>

#include "cubinet/report/page.hpp"
#include "cubinet/report/tuning_page.hpp"
#include "support/temporary_directory.hpp"
#include "tools/report_records.hpp"

using jit::PlacedRecord;
using jit::TuningRecord;
using jit::TuningVerdict;
using jit::testing::all_records;
using jit::testing::hostile_record;
using jit::testing::large_record;
using jit::testing::merge_record;

namespace {

std::vector<PlacedRecord> placed(const std::vector<TuningRecord>& records) {
  std::vector<PlacedRecord> result;
  for (std::size_t i = 0; i < records.size(); ++i) {
    result.push_back({records[i], "tuning.jsonl:" + std::to_string(i + 1)});
  }
  return result;
}

std::string page_of_one(const TuningRecord& record) {
  return jit::tuning_page("Tuning", placed({record}));
}

std::size_t count(const std::string& text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a tuning page shows choice, gain, evidence and every verdict with its reason") {
  const std::string page = page_of_one(merge_record("prefill"));
  CHECK(has(page, "<h3>merge_attn_states, phase = prefill</h3>"));
  CHECK(has(page, "NVIDIA H200: KEEP_IN_L1=true THREADS=512, 4.0 % faster than untuned"));
  CHECK(has(page, "NVIDIA H200, 132 multiprocessors, 140 GiB"));
  CHECK(has(page, "sm_90a, NVRTC 13.0, driver 580.159.04"));
  CHECK(has(page, "1935 to 1980 MHz"));
  CHECK(has(page, ">0.60 %<"));
  CHECK(has(page, "0.412 s on the GPU; every variant to the end: 1.98 s"));
  CHECK(has(page, "The budget was used up before every variant was timed to the end."));
  CHECK(has(page, "8 variants: 4 measured, 1 wrong, 1 refused, 1 rejected, 1 not timed"));
  CHECK(has(page, "THREADS must hold a whole row"));
  CHECK(has(page, "output[3][17][5] is 0.125, expected 0.1328 within 0.0039"));
  CHECK(has(page, "spills 48 bytes, others do not"));
  CHECK(has(page, "median 77.90 us, with 95 % confidence between 77.65 and 78.24 us, 40 samples"));
  // Marked in the map over all sizes, of registers, of occupancy, and at each of three sizes.
  CHECK(count(page, " chosen\"><b>") == 6);
  CHECK(count(page, " untuned\"><b>") == 6);
}

TEST_CASE("the untuned choice that stays is said to stay") {
  const std::string page = page_of_one(merge_record("decode"));
  CHECK(has(page, "NVIDIA H200: KEEP_IN_L1=false THREADS=128, as untuned"));
  CHECK(has(page, "<dd class=\"note\">it stays</dd>"));
  CHECK(count(page, " chosen untuned\"><b>") == 6);
  CHECK_FALSE(has(page, "faster than untuned"));
}

TEST_CASE("a chosen variant that is not the fastest says so") {
  TuningRecord record = merge_record("prefill");
  record.set = record.evidence.variants[record.evidence.untuned].set;
  const std::string page = page_of_one(record);
  CHECK(has(page, "+4.0 % to the fastest, KEEP_IN_L1=true THREADS=512"));
}

TEST_CASE("a page is the same whatever the order of its records, and tells them apart") {
  const std::vector<TuningRecord> records = all_records();
  std::vector<PlacedRecord> ordered = placed(records);
  const std::string page = jit::tuning_page("Tuning", ordered);
  std::reverse(ordered.begin(), ordered.end());
  CHECK(jit::tuning_page("Tuning", ordered) == page);
  std::rotate(ordered.begin(), ordered.begin() + 1, ordered.end());
  CHECK(jit::tuning_page("Tuning", ordered) == page);
  CHECK(count(page, "<details class=\"record\"") == 4);
  CHECK(count(page, "href=\"#record-") == 4);
  CHECK(has(page, "4 tuning records"));
  CHECK(has(page, "NVIDIA H100 80GB HBM3"));
}

TEST_CASE("records of several shapes are told apart by the constants in which they differ") {
  TuningRecord other = merge_record("decode");
  other.shape[2].value = std::int64_t{64};
  const std::string page = jit::tuning_page("Tuning", placed({merge_record("decode"), other}));
  CHECK(has(page, "<h3>merge_attn_states, HEAD_SIZE=64, phase = decode</h3>"));
  CHECK(has(page, "<h3>merge_attn_states, HEAD_SIZE=128, phase = decode</h3>"));
}

TEST_CASE("many records begin closed, few open") {
  std::vector<TuningRecord> records;
  for (int i = 0; i < 5; ++i) {
    records.push_back(merge_record("decode"));
    records.back().shape[2].value = std::int64_t{64 + 4 * i};
  }
  CHECK(count(jit::tuning_page("T", placed(records)), "id=\"record-1\">") == 1);
  records.pop_back();
  CHECK(count(jit::tuning_page("T", placed(records)), "id=\"record-1\" open=\"open\">") == 1);
}

TEST_CASE("more than two tunables are small maps, and beyond twelve the best of the rest") {
  TuningRecord record = large_record();
  const std::string page = page_of_one(record);
  CHECK(has(page, "<caption>kStages=3 kWarpSplit=true</caption>"));
  // Four facets: time, registers, occupancy, two sizes.
  CHECK(count(page, "<table class=\"heat\">") == 20);
  CHECK(has(page, "spills 192"));
  CHECK(has(page, "The clock was held down meanwhile: power cap."));
  CHECK(has(page, "The fastest 11 of 56 that were timed."));
  // A fifth tunable of four values: sixteen combinations.
  std::vector<jit::TuningVariant> more;
  for (const jit::TuningVariant& variant : record.evidence.variants) {
    for (std::int64_t unroll = 1; unroll <= 4; ++unroll) {
      more.push_back(variant);
      more.back().set.insert(more.back().set.begin() + 3, jit::RecordedConstant{"kUnroll", unroll});
      for (jit::TuningTime& time : more.back().times) {
        time.median_us *= 1 + 0.01 * static_cast<double>(unroll);
      }
    }
  }
  record.evidence.variants = more;
  // Of five tunables kBlockN and kUnroll have most values; of the others there are 12 combinations.
  CHECK(count(page_of_one(record), "<table class=\"heat\">") == 5 * 12);
  record.evidence.variants.insert(record.evidence.variants.end(), 1, more.front());
  for (jit::RecordedConstant& constant : record.evidence.variants.back().set) {
    if (constant.name == "kStages") constant.value = std::int64_t{4};
  }
  const std::string best = page_of_one(record);
  CHECK(count(best, "<table class=\"heat\">") == 5);
  CHECK(
      has(best,
          "Each cell is the fastest of the variants that differ in kBlockM, kStages, kWarpSplit"));
}

TEST_CASE("what was not timed shows what the compiler says") {
  TuningRecord record = merge_record("decode");
  record.device = {};
  record.set.clear();
  for (jit::TuningVariant& variant : record.evidence.variants) {
    variant.times.clear();
    if (variant.verdict == TuningVerdict::kMeasured) variant.verdict = TuningVerdict::kNotReached;
  }
  const std::string page = page_of_one(record);
  CHECK(has(page, "Nothing was timed: this is what the compiler says."));
  CHECK(has(page, "nothing chosen yet, not timed"));
  CHECK(has(page, "<h4>Registers and spills</h4>"));
  CHECK(has(page, "<h4>Occupancy</h4>"));
  CHECK_FALSE(has(page, "<h4>Time</h4>"));
  CHECK_FALSE(has(page, "<h4>Spread</h4>"));
  CHECK_FALSE(has(page, "chosen\"><b>"));
}

TEST_CASE("a record that does not hold together is shown as far as it goes") {
  TuningRecord record = merge_record("prefill");
  record.evidence.winner = 99;
  record.evidence.untuned = jit::TuningEvidence::npos;
  auto& variants = record.evidence.variants;
  variants[2].times.pop_back();
  variants[3].times[0] = {-1, 0, 0, 0};
  variants[6].times[0].median_us = std::numeric_limits<double>::quiet_NaN();
  variants[7].times[0].low_us = 1e300;
  variants[7].times[0].high_us = std::numeric_limits<double>::infinity();
  variants[7].set.clear();
  record.evidence.noise = std::numeric_limits<double>::quiet_NaN();
  const std::string page = page_of_one(record);
  CHECK(has(page, "not among the variants"));
  CHECK_FALSE(has(page, "nan"));
  CHECK_FALSE(has(page, "inf<"));
  // Nothing at all, one variant without tunables, sizes without variants.
  CHECK(has(page_of_one(TuningRecord{}), "The record has no evidence"));
  TuningRecord single;
  single.evidence.variants.emplace_back();
  CHECK(has(page_of_one(single), "1 variant: 1 not timed"));
  single.evidence.sizes.emplace_back();
  single.evidence.variants[0].verdict = TuningVerdict::kMeasured;
  single.evidence.variants[0].times = {{1.5, 1.5, 1.5, 1}};
  CHECK(has(page_of_one(single), "1.500 us"));
}

TEST_CASE("nothing of a record can be taken for markup") {
  const std::string page = page_of_one(hostile_record());
  CHECK_FALSE(has(page, "<script"));
  CHECK_FALSE(has(page, "<img"));
  CHECK(count(page, "</style>") == 1);
  CHECK_FALSE(has(page, "&\"'"));
  CHECK(has(page, "&lt;script&gt;alert(1)&lt;/script&gt;&amp;&quot;&#39;&lt;img"));
  CHECK(has(page, "\xEF\xBF\xBD\xEF\xBF\xBD"));  // for \x01 and \xff
  CHECK_FALSE(has(page, "\x01"));
  CHECK_FALSE(has(page, "\xff"));
  CHECK(has(jit::tuning_page("<b>", {}), "<h1>&lt;b&gt;</h1>"));
}

TEST_CASE("a page loads nothing, runs nothing and names no time of its making") {
  const std::string page = jit::tuning_page("Tuning", placed(all_records()));
  for (const char* part : {"http:", "https:", "//", "url(", "@import", " src=", "<script",
                           "on"
                           "click"}) {
    INFO(part);
    CHECK_FALSE(has(page, part));
  }
  CHECK(has(page, "default-src &#39;none&#39;; style-src &#39;unsafe-inline&#39;; img-src data:"));
}

TEST_CASE("a page is written in one step, or says why not") {
  const jit::testing::TemporaryDirectory folder;
  const std::string file = folder / "page.html";
  jit::write_page(file, "old");
  jit::write_page(file, "new");
  CHECK(jit::testing::read_text(file) == "new");
  try {
    jit::write_page(folder / "no/such/page.html", "text");
    FAIL("written");
  } catch (const jit::Error& error) {
    CHECK(std::string(error.what()).find("name a file that can be written") != std::string::npos);
  }
}
