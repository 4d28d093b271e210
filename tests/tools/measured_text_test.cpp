#include "cubinet/tune/measured_text.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <vector>

#include "cubinet/tune/record_output.hpp"
#include "jit/error.hpp"
#include "signature/manifest.hpp"
#include "support/temporary_directory.hpp"
#include "support/tiny_template.hpp"
#include "support/tuning_records.hpp"

namespace jit {
namespace {

struct Records {
  TableArena arena;
  table::Template tmpl = parse_manifest(testing::kTinyManifest, "m.json", arena);

  TuningRecord measured(std::int64_t size = 64) const {
    return testing::measured_tiny_record(tmpl, size);
  }
};

std::string text_of(const TuningRecord& record) { return measured_text({&record, 1}); }

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a measured record shows times with their spread, the choice, and what it gains") {
  const std::string text = text_of(Records().measured());
  INFO(text);
  CHECK(has(text,
            "tiny[ELEMENT_TYPE_OF_INPUT=f32,FLAG=false,ORDER=row_major,SIZE=64]@sm_90, nvrtc "
            "13.0\n  phase=decode on NVIDIA H200 (132 multiprocessors, 141 GiB)\n"));
  CHECK(has(text, "  sizes: (1) batch=2,num_tokens=4  (2) batch=2,num_tokens=64\n"));
  CHECK(has(text, "STAGES  THREADS"));
  CHECK(has(text, "2.25 ±2.8%"));
  CHECK(has(text, "3.00 ±4.2%"));
  CHECK(has(text, "-15.1 %"));
  // The chosen one first, then the slower one, then what was refused, with its reason.
  CHECK(text.find("chosen") < text.find("untuned choice"));
  CHECK(text.find("untuned choice") < text.find("refused: tiny.cuh:8"));
  CHECK(has(text,
            "  chosen: STAGES=2,THREADS=128: 15.1 % less time than the untuned choice; noise "
            "0.30 %; clock 1965 to 1980 MHz; 1.2 s, 310 ms of them on the device, where a "
            "sweep takes 620\n"));
}

TEST_CASE(
    "what was seen besides is said: throttling, a budget that ran out, a choice that stayed") {
  TuningRecord record = Records().measured();
  record.evidence.throttled = "power cap";
  record.evidence.complete = false;
  record.evidence.winner = record.evidence.untuned;
  const std::string text = text_of(record);
  INFO(text);
  CHECK(has(text, ", held down: power cap"));
  CHECK(has(text, "; the budget ran out first: raise --budget"));
  CHECK(has(text, "the untuned choice, which nothing beats"));
  record.evidence.untuned = TuningEvidence::npos;
  CHECK(has(text_of(record), "the untuned choice was not timed"));
  record.evidence.variants[1].times.pop_back();
  record.evidence.variants.front().verdict = TuningVerdict::kWrong;
  record.evidence.variants.front().reason = "num_tokens=4: out[7] is 0";
  CHECK(has(text_of(record), "wrong: num_tokens=4: out[7] is 0"));
}

TEST_CASE("a record without evidence shows its choice") {
  const Records records;
  const std::string text = text_of(testing::tiny_record(records.tmpl, 64, 128, 2));
  CHECK(text.ends_with("\n  chosen: STAGES=2,THREADS=128\n"));
}

TEST_CASE("records are merged into a file: newer ones replace, others stay, equal bytes come out") {
  const Records records;
  const testing::TemporaryDirectory folder;
  const std::filesystem::path file = folder / "h200.jsonl";
  const TuningRecord one = records.measured(64);
  const TuningRecord other = records.measured(128);
  merge_into(file, std::vector{one});
  merge_into(file, std::vector{other});
  const std::string both = testing::read_text(file);
  CHECK(std::count(both.begin(), both.end(), '\n') == 2);
  const std::filesystem::path reversed = folder / "reversed.jsonl";
  merge_into(reversed, std::vector{other, one});
  CHECK(testing::read_text(reversed) == both);
  TuningRecord newer = testing::tiny_record(records.tmpl, 64, 32, 1);
  newer.evidence.at = "2027-01-01T00:00:00Z";
  merge_into(file, std::vector{newer});
  const std::string merged = testing::read_text(file);
  CHECK(std::count(merged.begin(), merged.end(), '\n') == 2);
  CHECK(has(merged, newer.text()));
  CHECK_FALSE(has(merged, one.text()));
}

TEST_CASE("a file that holds anything else than records is not written to") {
  const Records records;
  const testing::TemporaryDirectory folder;
  const std::string text = records.measured().text() + "\nnotes of mine\n";
  folder.write("notes.txt", text);
  try {
    merge_into(folder / "notes.txt", std::vector{records.measured(128)});
    FAIL("it was written to");
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kIo);
    CHECK(has(error.what(), "notes.txt:2 is no whole tuning record"));
  }
  CHECK(testing::read_text(folder / "notes.txt") == text);
  CHECK_THROWS_AS(merge_into(folder / "no/such/folder/x.jsonl", std::vector{records.measured()}),
                  Error);
}

}  // namespace
}  // namespace jit
