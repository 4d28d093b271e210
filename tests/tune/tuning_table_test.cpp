#include "tune/tuning_table.hpp"

#include <algorithm>
#include <array>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "base/hex.hpp"
#include "signature/manifest.hpp"
#include "signature/tuning_digest.hpp"
#include "support/tiny_template.hpp"
#include "support/tuning_records.hpp"

namespace jit {
namespace {

using testing::kH100Pcie;
using testing::kH200;
using testing::tiny_record;

const table::Template& tiny() {
  static TableArena arena;
  static const table::Template tmpl =
      parse_manifest(testing::kTinyManifest, "manifest.json", arena);
  return tmpl;
}

const table::Template* find_tiny(std::string_view name) {
  return name == "tiny" ? &tiny() : nullptr;
}

TuningTarget on(std::optional<DeviceModel> device,
                std::optional<CompilerRelease> release = CompilerRelease{13, 0}) {
  return {{9, 0, 0}, release, std::move(device)};
}

// "exact STAGES=2 THREADS=128 NVIDIA H200 13.0 place", or "none".
std::string choice_text(const TuningTable& table, const TuningTarget& target, int size = 8,
                        int tokens = 1) {
  const BucketSteps steps = steps_of(tiny(), Sizes{{"num_tokens", tokens}});
  const Signature untuned = resolve(tiny(), std::array{Constant{"SIZE", size}}, steps);
  const auto choice = table.choose(tiny(), untuned.values, {}, steps, target);
  if (!choice) return "none";
  std::string text(name_of(choice->rule));
  for (const Constant& constant : choice->set) {
    text += " " + std::string(constant.name) + "=" + std::to_string(constant.value.as_int());
  }
  return text + " " + std::string(choice->device) + " " + std::string(choice->toolchain) + " " +
         std::string(choice->place);
}

std::string skipped_text(const TuningTable& table) {
  std::string text;
  for (const SkippedRecord& record : table.skipped()) {
    text += record.place + " " + record.name + " " + std::string(name_of(record.issue)) + ": " +
            record.reason + "\n";
  }
  return text;
}

TEST_CASE("the record of the device and compiler is chosen, for its shape and step alone") {
  TuningTable table;
  table.add(tiny(), tiny_record(tiny(), 8, 128, 2), "t:1");
  CHECK(table.size() == 1);
  CHECK(table.skipped().empty());
  CHECK(choice_text(table, on(kH200)) == "exact STAGES=2 THREADS=128 NVIDIA H200 13.0 t:1");
  CHECK(choice_text(table, on(kH200, std::nullopt)) ==
        "exact STAGES=2 THREADS=128 NVIDIA H200 13.0 t:1");
  CHECK(choice_text(table, on(kH200), 16) == "none");
  CHECK(choice_text(table, on(kH200), 8, 65) == "none");
  TuningTarget blackwell = on(kH200);
  blackwell.arch = {10, 0, 0};
  CHECK(choice_text(table, blackwell) == "none");
  CHECK(choice_text(TuningTable(), on(kH200)) == "none");
}

TEST_CASE("every size of a bucket gets the same choice") {
  TuningTable table;
  table.add(tiny(), tiny_record(tiny(), 8, 128, 2), "t:1");
  std::set<std::string> choices;
  for (int tokens = 0; tokens <= 64; ++tokens) {
    choices.insert(choice_text(table, on(kH200), 8, tokens));
  }
  CHECK(choices.size() == 1);
}

TEST_CASE("another device or compiler is given a hint") {
  TuningTable table;
  table.add(tiny(), tiny_record(tiny(), 8, 128, 2), "t:1");
  const std::string hint = "hint STAGES=2 THREADS=128 NVIDIA H200 13.0 t:1";
  CHECK(choice_text(table, on(kH100Pcie)) == hint);
  CHECK(choice_text(table, on(kH200, CompilerRelease{12, 9})) == hint);
  DeviceModel sliced = kH200;
  sliced.memory_gib = 18;
  CHECK(choice_text(table, on(sliced)) == hint);
  CHECK(choice_text(table, on(std::nullopt)) == hint);
  TuningTarget specific = on(kH200);
  specific.arch.suffix = 'a';  // the same capability
  CHECK(choice_text(table, specific) == "exact STAGES=2 THREADS=128 NVIDIA H200 13.0 t:1");
}

// Records of one thing on five models with two compilers, told apart by their choices.
struct Candidate {
  DeviceModel device;
  const char* toolchain;
  int threads;
  int stages;
};
const std::vector<Candidate> kCandidates{
    {kH200, "13.0", 32, 1},
    {kH200, "12.8", 32, 2},
    {kH200, "12.9", 32, 3},
    {{"NVIDIA H100 80GB HBM3", 132, 80}, "13.0", 64, 1},
    {{"NVIDIA H100 NVL", 132, 94}, "13.0", 64, 2},
    {{"NVIDIA A", 130, 80}, "12.9", 128, 1},
    {{"NVIDIA A", 130, 80}, "13.1", 128, 2},
    {{"NVIDIA B", 134, 80}, "13.1", 128, 3},
};

TEST_CASE("of several hints the nearest is taken, whatever the order they were read in") {
  struct Expected {
    TuningTarget target;
    const char* choice;
  };
  const std::vector<Expected> expected{
      {on(kH200, CompilerRelease{13, 1}), "hint STAGES=1 THREADS=32 NVIDIA H200 13.0 t"},
      {on(kH200, CompilerRelease{12, 8}), "exact STAGES=2 THREADS=32 NVIDIA H200 12.8 t"},
      {on(kH200, std::nullopt), "exact STAGES=1 THREADS=32 NVIDIA H200 13.0 t"},
      {on(DeviceModel{"NVIDIA GH200", 132, 96}), "hint STAGES=2 THREADS=64 NVIDIA H100 NVL 13.0 t"},
      {on(DeviceModel{"NVIDIA C", 132, 87}),
       "hint STAGES=1 THREADS=64 NVIDIA H100 80GB HBM3 13.0 t"},
      {on(DeviceModel{"NVIDIA C", 114, 80}), "hint STAGES=2 THREADS=128 NVIDIA A 13.1 t"},
      {on(DeviceModel{"NVIDIA C", 114, 80}, CompilerRelease{12, 9}),
       "hint STAGES=1 THREADS=128 NVIDIA A 12.9 t"},
      {on(std::nullopt), "hint STAGES=3 THREADS=128 NVIDIA B 13.1 t"},
  };
  std::vector<Candidate> candidates = kCandidates;
  std::mt19937 random(3);
  for (int i = 0; i < 50; ++i) {
    std::shuffle(candidates.begin(), candidates.end(), random);
    TuningTable table;
    for (const Candidate& candidate : candidates) {
      TuningRecord record = tiny_record(tiny(), 8, candidate.threads, candidate.stages);
      record.device = candidate.device;
      record.toolchain = candidate.toolchain;
      table.add(tiny(), record, "t");
    }
    REQUIRE(table.size() == kCandidates.size());
    for (const Expected& one : expected) REQUIRE(choice_text(table, one.target) == one.choice);
    REQUIRE(table.devices(tiny(), {9, 0, 0}).size() == 5);
  }
}

TEST_CASE("of two boards as near in everything the name decides") {
  for (const bool swapped : {false, true}) {
    std::array<TuningRecord, 2> records{tiny_record(tiny(), 8, 32, 1),
                                        tiny_record(tiny(), 8, 64, 1)};
    records[0].device = {"NVIDIA A", 130, 80};
    records[1].device = {"NVIDIA B", 134, 80};
    TuningTable table;
    table.add(tiny(), records[swapped ? 1 : 0], "t");
    table.add(tiny(), records[swapped ? 0 : 1], "t");
    CHECK(choice_text(table, on(DeviceModel{"NVIDIA C", 132, 80})) ==
          "hint STAGES=1 THREADS=32 NVIDIA A 13.0 t");
  }
}

TEST_CASE("of two records for one thing the first counts, and of one source the newest") {
  TuningRecord older = tiny_record(tiny(), 8, 32, 1);
  TuningRecord newer = tiny_record(tiny(), 8, 64, 1);
  older.evidence.at = "2026-11-20T00:00:00Z";
  TuningTable table;
  table.add(tiny(), older, "first:1");
  table.add(tiny(), newer, "second:1");
  CHECK(choice_text(table, on(kH200)) == "exact STAGES=1 THREADS=32 NVIDIA H200 13.0 first:1");
  CHECK(skipped_text(table) ==
        "second:1 tiny replaced: first:1 counts before it, for the same thing\n");

  TuningTable appended;
  appended.add(parse_tuning_records(older.text() + '\n' + newer.text(), "f", RecordPart::kChoice),
               find_tiny);
  CHECK(choice_text(appended, on(kH200)) == "exact STAGES=1 THREADS=64 NVIDIA H200 13.0 f:2");
  CHECK(skipped_text(appended) == "f:1 tiny replaced: f:2 counts before it, for the same thing\n");
}

TEST_CASE("a record that is not complete gives way to a complete one, wherever they come from") {
  TuningRecord hurried = tiny_record(tiny(), 8, 32, 1);
  hurried.evidence.complete = false;
  const TuningRecord careful = tiny_record(tiny(), 8, 64, 1);
  TuningTable table;
  table.add(tiny(), hurried, "first:1");
  table.add(tiny(), careful, "second:1");
  table.add(tiny(), hurried, "third:1");
  CHECK(choice_text(table, on(kH200)) == "exact STAGES=1 THREADS=64 NVIDIA H200 13.0 second:1");
  CHECK(skipped_text(table) ==
        "first:1 tiny replaced: it is not complete, and second:1 is\n"
        "third:1 tiny replaced: second:1 counts before it, for the same thing\n");
  CHECK(table.size() == 1);

  hurried.evidence.at = "2026-11-30T00:00:00Z";
  TuningTable appended;
  appended.add(parse_tuning_records(careful.text() + '\n' + hurried.text(), "f"), find_tiny);
  CHECK(choice_text(appended, on(kH200)) == "exact STAGES=1 THREADS=64 NVIDIA H200 13.0 f:1");
}

TEST_CASE("the digest of a table is that of its choices, whatever their order and place") {
  const TuningRecord one = tiny_record(tiny(), 8, 32, 1);
  TuningRecord two = tiny_record(tiny(), 8, 64, 1);
  two.device = kH100Pcie;
  const auto digest = [](const std::vector<TuningRecord>& records, const char* place) {
    TuningTable table;
    for (const TuningRecord& record : records) table.add(tiny(), record, place);
    return table.digest();
  };
  CHECK(TuningTable().digest() == 0);
  CHECK(digest({one, two}, "a") == digest({two, one}, "b"));
  CHECK(digest({one, two}, "a") != digest({one}, "a"));
  TuningRecord other = one;
  other.set[0].value = 2L;
  CHECK(digest({other}, "a") != digest({one}, "a"));
}

TEST_CASE("a record that does not fit the template is skipped by name and never an error") {
  std::string text = "{\"template\":\n";
  const auto add = [&](const auto& change) {
    TuningRecord record = tiny_record(tiny(), 8, 128, 2);
    change(record);
    text += record.text() + '\n';
  };
  add([](TuningRecord& r) { r.name = "gone"; });
  add([](TuningRecord& r) { r.bundle = std::string(64, 'f'); });
  add([](TuningRecord& r) { r.arch = "sm_77"; });
  add([](TuningRecord& r) { r.shape[3].value = 9L; });
  add([](TuningRecord& r) { r.shape.pop_back(); });
  add([](TuningRecord& r) { r.shape.push_back({"HEADS", 1L}); });
  add([](TuningRecord& r) { r.shape.push_back({"STAGES", 1L}); });
  add([](TuningRecord& r) { r.shape[0].value = std::string("bf16"); });
  add([](TuningRecord& r) { r.shape[1].value = 1L; });
  add([](TuningRecord& r) { r.buckets.clear(); });
  add([](TuningRecord& r) { r.buckets[0].step = "warm-up"; });
  add([](TuningRecord& r) { r.buckets.push_back({"stage", "x"}); });
  add([](TuningRecord& r) { r.set[1].value = 96L; });
  add([](TuningRecord& r) { r.set[1].name = "WARPS"; });
  add([](TuningRecord& r) { r.set[1] = {"SIZE", 8L}; });
  add([](TuningRecord&) {});
  TuningTable table;
  table.add(parse_tuning_records(text, "t"), find_tiny);
  CHECK(table.size() == 1);
  CHECK(choice_text(table, on(kH200)) == "exact STAGES=2 THREADS=128 NVIDIA H200 13.0 t:17");
  std::vector<SkippedRecord> skipped = table.skipped();
  std::sort(skipped.begin(), skipped.end(), [](const auto& a, const auto& b) {
    return std::pair(a.place.size(), a.place) < std::pair(b.place.size(), b.place);
  });
  std::string lines;
  for (const SkippedRecord& one : skipped) {
    lines += one.place + " " + std::string(name_of(one.issue)) + ": " + one.reason + "\n";
  }
  CHECK(lines ==
        "t:1 damaged: it is torn: its end is missing\n"
        "t:2 other_template: there is no template gone here\n"
        "t:3 old_bundle: it was measured with other device code (bundle ffffffffffff, now " +
            to_hex(tuning_digest(tiny())).substr(0, 12) +
            "); tune again\n"
            "t:4 other_arch: sm_77 is no architecture that is known here\n"
            "t:5 out_of_domain: SIZE=9 is out of its domain: 8..4096 step 8\n"
            "t:6 out_of_domain: SIZE is missing\n"
            "t:7 out_of_domain: the template has no shape constant HEADS\n"
            "t:8 out_of_domain: the template has no shape constant STAGES\n"
            "t:9 out_of_domain: ELEMENT_TYPE_OF_INPUT=bf16 is out of its domain: one of f32, i32, "
            "u8\n"
            "t:10 out_of_domain: FLAG=1 is out of its domain: true or false\n"
            "t:11 out_of_domain: bucket phase is missing\n"
            "t:12 out_of_domain: bucket phase has no step warm-up\n"
            "t:13 out_of_domain: the template has no bucket stage\n"
            "t:14 out_of_domain: THREADS=96 is out of its domain: one of 32, 64, 128\n"
            "t:15 out_of_domain: the template has no tunable WARPS\n"
            "t:16 out_of_domain: the template has no tunable SIZE\n");
}

TEST_CASE("an architecture that is no target of the template is skipped") {
  TableArena arena;
  const table::Template specific = parse_manifest(
      testing::with(testing::kTinyManifest, R"("summary")", R"("target": "specific", "summary")"),
      "manifest.json", arena);
  TuningTable table;
  table.add(specific, tiny_record(specific, 8, 128, 2), "t:1");
  CHECK(skipped_text(table) == "t:1 tiny other_arch: sm_90 is no target of the template\n");
  TuningRecord record = tiny_record(specific, 8, 128, 2);
  record.arch = "sm_90a";
  table.add(specific, record, "t:2");
  CHECK(table.size() == 1);
}

TEST_CASE("records made by hand are looked at as sharply as those of a file") {
  TuningTable table;
  TuningRecord record = tiny_record(tiny(), 8, 128, 2);
  record.name = "other";
  table.add(tiny(), record, "a");
  record = tiny_record(tiny(), 8, 128, 2);
  record.bundle = "short";
  table.add(tiny(), record, "b");
  record = tiny_record(tiny(), 8, 128, 2);
  record.set.clear();
  table.add(tiny(), record, "c");
  record = tiny_record(tiny(), 8, 128, 2);
  record.set.push_back(record.set[0]);
  table.add(tiny(), record, "d");
  record = tiny_record(tiny(), 8, 128, 2);
  record.buckets.push_back(record.buckets[0]);
  table.add(tiny(), record, "e");
  record = tiny_record(tiny(), 8, 128, 2);
  record.shape.push_back(record.shape[0]);
  table.add(tiny(), record, "f");
  record = tiny_record(tiny(), 8, 128, 2);
  record.toolchain = "new";
  table.add(tiny(), record, "g");
  CHECK(table.size() == 0);
  CHECK(skipped_text(table) ==
        "a other other_template: it is not of tiny\n"
        "b tiny damaged: bundle is no digest of 64 hex digits\n"
        "c tiny damaged: it sets no tunable\n"
        "d tiny out_of_domain: STAGES is given twice\n"
        "e tiny out_of_domain: bucket phase is given twice\n"
        "f tiny out_of_domain: ELEMENT_TYPE_OF_INPUT is given twice\n"
        "g tiny damaged: toolchain is no release such as 13.0\n");
}

TEST_CASE("shipped records count like those of a file, damaged ones by their problem") {
  const std::array<Constant, 4> shape{
      {{"SIZE", 8}, {"ELEMENT_TYPE_OF_INPUT", f32}, {"FLAG", false}, {"ORDER", "row_major"}}};
  const std::array<Constant, 1> steps{{{"phase", "decode"}}};
  const std::array<Constant, 2> set{{{"STAGES", 2}, {"THREADS", 128}}};
  table::TuningRecord shipped;
  shipped.arch = "sm_90";
  shipped.toolchain = "13.0";
  shipped.device = "NVIDIA H200";
  shipped.multiprocessors = 132;
  shipped.memory_gib = 141;
  shipped.bundle_sha256 = tuning_digest(tiny());
  shipped.shape = shape;
  shipped.steps = steps;
  shipped.set = set;
  shipped.place = "tiny/tuning/h200.jsonl:1";
  table::TuningRecord damaged;
  damaged.place = "tiny/tuning/h200.jsonl:2";
  damaged.problem = "it is torn: its end is missing";
  TuningTable table;
  table.add(tiny(), shipped);
  table.add(tiny(), damaged);
  CHECK(choice_text(table, on(kH200)) ==
        "exact STAGES=2 THREADS=128 NVIDIA H200 13.0 tiny/tuning/h200.jsonl:1");
  CHECK(skipped_text(table) ==
        "tiny/tuning/h200.jsonl:2 tiny damaged: it is torn: its end is missing\n");
}

TEST_CASE("a table keeps its records when it moves, and templates of one name apart") {
  TuningTable first;
  {
    const std::string place = "a place that is too long to lie within a string object itself:1";
    first.add(tiny(), tiny_record(tiny(), 8, 128, 2), place);
  }
  const TuningTable table = std::move(first);
  CHECK(choice_text(table, on(kH200)) ==
        "exact STAGES=2 THREADS=128 NVIDIA H200 13.0 a place that is too long to lie within a "
        "string object itself:1");
  table::Template other = tiny();
  other.bundle_sha256[0] = 1;
  const Signature signature = resolve(other, std::array{Constant{"SIZE", 8}}, BucketSteps{});
  CHECK_FALSE(table.choose(other, signature.values, {}, BucketSteps{}, on(kH200)));
  CHECK(table.devices(other, {9, 0, 0}).empty());
  CHECK(table.devices(tiny(), {9, 0, 'a'}) == std::vector{kH200});
  CHECK(table.devices(tiny(), {10, 0, 0}).empty());
}

}  // namespace
}  // namespace jit
