#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "signature/manifest.hpp"
#include "signature/tuning_record_text.hpp"
#include "support/tiny_template.hpp"
#include "support/tuning_records.hpp"

namespace jit {
namespace {

using testing::measured_tiny_record;
using testing::tiny_record;

const table::Template& tiny() {
  static TableArena arena;
  static const table::Template tmpl =
      parse_manifest(testing::kTinyManifest, "manifest.json", arena);
  return tmpl;
}

std::string why_not(std::string_view line, RecordPart part = RecordPart::kWhole) {
  std::string why;
  CHECK_FALSE(parse_tuning_record(line, why, part));
  return why;
}

TuningRecord parsed(std::string_view line, RecordPart part = RecordPart::kWhole) {
  std::string why;
  auto record = parse_tuning_record(line, why, part);
  INFO(why);
  REQUIRE(record);
  CHECK(why.empty());
  return *std::move(record);
}

constexpr std::string_view kChoice =
    R"({"template":"tiny","shape":{"ELEMENT_TYPE_OF_INPUT":"f32","FLAG":false,"ORDER":"row_major","SIZE":8},"buckets":{"phase":"decode"},"arch":"sm_90","toolchain":"13.0","bundle":"25c30cc1cff5d2e2b53c1b817fc55540f3ed97a15fdb86ffd22f1ee1f098ade9","device":{"name":"NVIDIA H200","multiprocessors":132,"memory_gib":141},"set":{"STAGES":2,"THREADS":128},"at":"2026-11-21T18:00:00Z")";
constexpr std::string_view kEvidence =
    R"(,"evidence":{"driver":"580.159.04","winner":1,"untuned":0,"noise":0.003,"clock_mhz":[1965,1980],"throttled":"","seconds":1.25,"device_ms":310.5,"sweep_ms":620.0,"sizes":[{"batch":2,"num_tokens":4},{"batch":2,"num_tokens":64}],"variants":[{"set":{"STAGES":1,"THREADS":64},"verdict":"measured","us":[[2.5,2.4375,2.625,64],[3.75,3.5,4.0,64]],"registers":40,"occupancy":0.75},{"set":{"STAGES":2,"THREADS":128},"verdict":"measured","us":[[2.25,2.1875,2.3125,96],[3.0,2.875,3.125,96]],"registers":64,"smem_bytes":2048,"occupancy":0.5},{"set":{"STAGES":3,"THREADS":32},"verdict":"refused","reason":"tiny.cuh:8: static assertion failed with \"whole vectors\""}]})";

TEST_CASE("a tuning record's text is what it was at its first release") {
  const TuningRecord bare = tiny_record(tiny(), 8, 128, 2);
  const TuningRecord whole = measured_tiny_record(tiny(), 8);
  CHECK(bare.text() == std::string(kChoice) + "}");
  CHECK(whole.text() == std::string(kChoice) + std::string(kEvidence) + "}");
  CHECK(parsed(bare.text()).text() == bare.text());
  CHECK(parsed(whole.text()).text() == whole.text());
}

TEST_CASE("what is read is what was written, evidence and all") {
  TuningRecord written = measured_tiny_record(tiny(), 8);
  written.evidence.untuned = TuningEvidence::npos;
  written.evidence.complete = false;
  written.evidence.throttled = "power cap";
  written.evidence.variants[0].verdict = TuningVerdict::kRejected;
  written.evidence.variants[0].reason = "spills 16 bytes; others do not";
  written.evidence.variants[0].spill_bytes = 16;
  written.evidence.variants[0].serialized_wgmma = 3;
  const TuningRecord read = parsed(written.text());
  const TuningEvidence& evidence = read.evidence;
  CHECK(evidence.at == written.evidence.at);
  CHECK(evidence.untuned == TuningEvidence::npos);
  CHECK_FALSE(evidence.complete);
  CHECK(evidence.throttled == "power cap");
  CHECK(evidence.sizes == written.evidence.sizes);
  REQUIRE(evidence.variants.size() == 3);
  CHECK(evidence.variants[0].verdict == TuningVerdict::kRejected);
  CHECK(evidence.variants[0].reason == "spills 16 bytes; others do not");
  CHECK(evidence.variants[0].spill_bytes == 16);
  CHECK(evidence.variants[0].serialized_wgmma == 3);
  CHECK(evidence.variants[1].times[1].high_us == 3.125);
  CHECK(evidence.variants[1].times[1].samples == 96);
  CHECK(evidence.variants[1].smem_bytes == 2048);
  CHECK(evidence.variants[2].verdict == TuningVerdict::kRefused);
  CHECK(evidence.sweep_ms == 620);
}

TEST_CASE("figures that a clock spoilt do not spoil the line, and rounding happens once") {
  TuningRecord record = measured_tiny_record(tiny(), 8);
  record.evidence.noise = std::numeric_limits<double>::quiet_NaN();
  record.evidence.sweep_ms = std::numeric_limits<double>::infinity();
  record.evidence.variants[0].times[0].median_us = 1.00004999;
  record.evidence.variants[0].reason = "one\nline \xff";
  const TuningRecord read = parsed(record.text());
  CHECK(read.evidence.noise == 0);
  CHECK(read.evidence.variants[0].times[0].median_us == 1.0);
  CHECK(read.evidence.variants[0].reason == "one line \xef\xbf\xbd");
  CHECK(parsed(read.text()).text() == read.text());
}

TEST_CASE("the choice alone is read without the evidence, wherever that stands") {
  const std::string line = measured_tiny_record(tiny(), 8).text();
  const TuningRecord choice = parsed(line, RecordPart::kChoice);
  CHECK(choice.text() == tiny_record(tiny(), 8, 128, 2).text());
  const std::string moved =
      "{" + std::string(kEvidence).substr(1) + "," + std::string(kChoice).substr(1) + "}";
  CHECK(parsed(moved, RecordPart::kChoice).text() == choice.text());
  CHECK(parsed(moved).text() == line);
}

TEST_CASE("a half-written record is none, wherever it is cut and however much is wanted") {
  const std::string line = measured_tiny_record(tiny(), 8).text();
  for (std::size_t length = 0; length < line.size(); ++length) {
    std::string why;
    for (const RecordPart part : {RecordPart::kWhole, RecordPart::kChoice}) {
      REQUIRE_FALSE(parse_tuning_record(std::string_view(line).substr(0, length), why, part));
      REQUIRE_FALSE(why.empty());
    }
  }
  // Two writers' halves on one line.
  CHECK_FALSE(why_not(line.substr(0, 300) + line).empty());
  CHECK(why_not(line.substr(0, 400)) == "it is torn: its end is missing");
}

TEST_CASE("a line that is no record says why") {
  const auto changed = [](std::string_view from, std::string_view to) {
    return testing::with(std::string(kChoice) + "}", from, to);
  };
  CHECK(why_not("nothing") == "it is no JSON object");
  CHECK(why_not("[1,2]") == "it is no JSON object");
  CHECK(why_not("{} {}") == "it is no JSON object");
  CHECK(why_not("{}") == "it has no template");
  CHECK(why_not("\xff\xfe") == "it is no JSON object");
  CHECK(why_not(changed(R"("template":"tiny",)", "")) == "it has no template");
  CHECK(why_not(changed(R"("tiny")", "7")) == "template is no text");
  CHECK(why_not(changed(R"("tiny")", R"("")")) == "template is empty");
  CHECK(why_not(changed(R"("tiny")", R"("a\u001b[2Jb")")) == "template has control characters");
  CHECK(why_not(changed(R"("f32")", R"("a\nb")")) ==
        "constant ELEMENT_TYPE_OF_INPUT has control characters");
  CHECK(why_not(changed(R"("SIZE":8)", R"("SIZE":8.5)")) ==
        "constant SIZE is no integer, bool or text");
  CHECK(why_not(changed(R"({"phase":"decode"})", "[]")) == "buckets is no object");
  CHECK(why_not(changed(R"("decode")", "1")) == "bucket phase is no text");
  CHECK(why_not(changed("sm_90", "gfx90")) == "arch is no architecture such as sm_90a");
  for (const char* release : {"13", "13.", ".0", "13.0.88", "13.x", "-1.0", "70000.0"}) {
    CHECK(why_not(changed(R"("13.0")", '"' + std::string(release) + '"')) ==
          "toolchain is no release such as 13.0");
  }
  CHECK(why_not(changed("ade9\",", "adeg\",")) == "bundle is no digest of 64 hex digits");
  CHECK(why_not(changed("132", "-132")) == "multiprocessors is no count");
  CHECK(why_not(changed("132", "4294967296")) == "multiprocessors is no count");
  CHECK(why_not(changed(R"(,"memory_gib":141)", "")) == "it has no memory_gib");
  CHECK(why_not(changed(R"({"STAGES":2,"THREADS":128})", "{}")) == "set is empty");
  CHECK(why_not(changed(R"("at":)", R"("complete":1,"at":)")) ==
        "complete is neither true nor false");
  for (const char* at : {"now", "2026-11-21T18:00:00", "9999999999999999999Z", ""}) {
    CHECK(why_not(changed("2026-11-21T18:00:00Z", at)) ==
          "at is no time such as 2026-11-21T18:00:00Z");
  }
}

TEST_CASE("hostile lines are refused before anything is built from them") {
  const std::string huge =
      std::string(kChoice) + R"(,"x":")" + std::string(kMaxTuningLineBytes, 'x') + "\"}";
  CHECK(why_not(huge) == "it is longer than any record");
  const std::string deep = std::string(kChoice) + R"(,"x":)" + std::string(1'000'000, '[') +
                           std::string(1'000'000, ']') + "}";
  CHECK(why_not(deep) == "it is nested deeper than any record");
  CHECK(why_not(deep, RecordPart::kChoice) == "it is nested deeper than any record");
}

TEST_CASE("evidence that is none costs the record its evidence alone") {
  const std::string line = measured_tiny_record(tiny(), 8).text();
  const auto reason = [&](std::string_view from, std::string_view to) {
    const std::string changed = testing::with(line, from, to);
    REQUIRE(changed != line);
    std::string why;
    const auto record = parse_tuning_record(changed, why);
    REQUIRE(record);
    CHECK(record->text() == tiny_record(tiny(), 8, 128, 2).text());
    return why;
  };
  CHECK(reason(R"("winner":1)", R"("winner":3)") == "its evidence is none: winner is no variant");
  CHECK(reason(R"("winner":1)", R"("winner":0)") ==
        "its evidence is none: winner is another variant than set");
  CHECK(reason(R"("untuned":0)", R"("untuned":99)") ==
        "its evidence is none: untuned is no variant");
  CHECK(reason(R"([2.5,2.4375,2.625,64])", "[2.5]") ==
        "its evidence is none: a time is no [median, low, high, samples]");
  CHECK(reason("2.4375", "-2") == "its evidence is none: a time is no number from 0 on");
  CHECK(reason("2.4375", "1e300") == "its evidence is none: a time is no number from 0 on");
  CHECK(reason(R"("refused")", R"("unheard of")") ==
        "its evidence is none: verdict is none that is known");
  CHECK(reason(R"({"batch":2,"num_tokens":4},)", "") ==
        "its evidence is none: us is longer than sizes");
}

TEST_CASE("members that a newer version adds are passed over") {
  const std::string line = measured_tiny_record(tiny(), 8).text();
  const std::string more =
      testing::with(testing::with(line, R"("arch")", R"("weather":{"rain":[1,2]},"arch")"),
                    R"("verdict")", R"("joules":0.5,"verdict")");
  CHECK(parsed(more).text() == line);
  CHECK(parsed("  " + line + " \t").text() == line);
}

TEST_CASE("lines keep their numbers, and those that are no record their reason") {
  const std::string line = tiny_record(tiny(), 8, 128, 2).text();
  const auto lines = parse_tuning_records("\n" + line + "\r\n{}\n" + line, "t.jsonl");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0].place == "t.jsonl:2");
  CHECK(lines[0].record);
  CHECK(lines[1].place == "t.jsonl:3");
  CHECK(lines[1].why == "it has no template");
  CHECK(lines[2].place == "t.jsonl:4");
  CHECK(lines[2].record->text() == line);
}

std::string text_of(const std::vector<TuningRecord>& records) {
  std::string text;
  for (const TuningRecord& record : records) text += record.text() + '\n';
  return text;
}

// Records of some things, several of each; some at the same second.
std::vector<TuningRecord> many_records() {
  std::vector<TuningRecord> records;
  for (int size = 8; size <= 80; size += 8) {
    for (const int threads : {32, 64, 128}) {
      records.push_back(tiny_record(tiny(), size, threads, 1));
      if (size % 16 == 0)
        records.back().evidence.at = "2026-11-" + std::to_string(10 + threads % 7) + "T00:00:00Z";
      records.push_back(records.back());
      records.back().device = testing::kH100Pcie;
    }
  }
  return records;
}

TEST_CASE("a line says the same to who reads its choice alone and to who reads all of it") {
  // The evidence is torn inside, and its brackets close: the choice stands for both.
  std::string torn = std::string(kChoice) + std::string(kEvidence) + "}";
  torn.replace(torn.find("\"winner\":1"), 10, "\"winner\"1:");
  std::string why;
  const auto whole = parse_tuning_record(torn, why);
  REQUIRE(whole);
  CHECK(why == "its evidence is none: it is no JSON object");
  CHECK(whole->text() == parsed(torn, RecordPart::kChoice).text());
  // What comes after the evidence counts, too.
  const std::string late =
      std::string(kChoice) + std::string(kEvidence) + R"(,"complete":false,"set":{"STAGES":2}})";
  std::string why_of_late;
  const auto read = parse_tuning_record(late, why_of_late);
  REQUIRE(read);
  CHECK_FALSE(read->evidence.complete);
  const TuningRecord choice = parsed(late, RecordPart::kChoice);
  CHECK_FALSE(choice.evidence.complete);
  CHECK(choice.set.size() == 1);
}

TEST_CASE("numbers that nobody measures are written as they are read") {
  TuningRecord written = measured_tiny_record(tiny(), 8);
  written.evidence.seconds = 1e308;
  written.evidence.variants[0].occupancy = 1e-308;
  CHECK(parsed(written.text()).text() == written.text());
}

TEST_CASE("a merge keeps the newest of each thing, whatever the order they came in") {
  std::vector<TuningRecord> records = many_records();
  std::mt19937 random(5);
  std::set<std::string> texts;
  for (int i = 0; i < 20; ++i) {
    std::shuffle(records.begin(), records.end(), random);
    const auto middle = records.begin() + static_cast<std::ptrdiff_t>(random() % records.size());
    // In two steps, as files are merged that were merged before.
    auto merged = merge_tuning_records({records.begin(), middle});
    merged.insert(merged.end(), middle, records.end());
    merged = merge_tuning_records(std::move(merged));
    CHECK(merged.size() == 20);
    texts.insert(text_of(merged));
  }
  CHECK(texts.size() == 1);
  // 128 % 7 = 2, 64 % 7 = 1, 32 % 7 = 4: the newest was not the greatest.
  CHECK(
      texts.begin()->find(
          R"("SIZE":16},"buckets":{"phase":"decode"},"arch":"sm_90","toolchain":"13.0","bundle":"25c30cc1cff5d2e2b53c1b817fc55540f3ed97a15fdb86ffd22f1ee1f098ade9","device":{"name":"NVIDIA H200","multiprocessors":132,"memory_gib":141},"set":{"STAGES":1,"THREADS":32})") !=
      std::string::npos);
}

TEST_CASE("the newest lines come first, the same that a merge keeps; damaged ones last") {
  std::vector<TuningRecord> records = many_records();
  std::mt19937 random(6);
  for (int i = 0; i < 10; ++i) {
    std::shuffle(records.begin(), records.end(), random);
    auto lines = parse_tuning_records("{}\n" + text_of(records), "t.jsonl", RecordPart::kChoice);
    sort_newest_first(lines);
    CHECK_FALSE(lines.back().record);
    for (const TuningRecord& kept : merge_tuning_records(records)) {
      const auto first = std::find_if(lines.begin(), lines.end(), [&](const TuningLine& line) {
        return line.record->shape == kept.shape && line.record->device == kept.device;
      });
      REQUIRE(first != lines.end());
      CHECK(first->record->text() == kept.text());
    }
  }
}

TEST_CASE("things are told apart by every part of their key") {
  const TuningRecord one = tiny_record(tiny(), 8, 64, 1);
  std::vector<TuningRecord> records(8, one);
  records[1].shape[1].value = true;
  records[2].buckets[0].step = "prefill";
  records[3].arch = "sm_90a";
  records[4].toolchain = "12.9";
  records[5].bundle[0] = 'f';
  records[6].device.memory_gib = 80;
  records[7].set[0].value = 3L;  // no part of it
  CHECK(merge_tuning_records(records).size() == 7);
}

TEST_CASE("a shipped record reads as one from a file") {
  const TuningRecord record = without_evidence(measured_tiny_record(tiny(), 8));
  CHECK(record.evidence.at == "2026-11-21T18:00:00Z");
  CHECK(record.evidence.variants.empty());
  table::TuningRecord shipped;
  shipped.arch = "sm_90";
  shipped.toolchain = "13.0";
  shipped.device = "NVIDIA H200";
  shipped.multiprocessors = 132;
  shipped.memory_gib = 141;
  shipped.bundle_sha256 = tuning_digest(tiny());
  const std::vector<Constant> shape{
      {"SIZE", 8}, {"ELEMENT_TYPE_OF_INPUT", f32}, {"FLAG", false}, {"ORDER", "row_major"}};
  const std::vector<Constant> steps{{"phase", "decode"}};
  const std::vector<Constant> set{{"THREADS", 128}, {"STAGES", 2}};
  shipped.shape = shape;
  shipped.steps = steps;
  shipped.set = set;
  TuningRecord expected = record;
  expected.evidence.at.clear();
  CHECK(make_tuning_record(tiny(), shipped).text() == expected.text());
}

}  // namespace
}  // namespace jit
