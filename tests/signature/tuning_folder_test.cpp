// Tuning records beside a manifest: tuning/*.jsonl.
#include "signature/tuning_folder.hpp"

#include <catch2/catch_test_macros.hpp>
#include <string>

#include "base/hex.hpp"
#include "signature/template_directory.hpp"
#include "signature/tuning_record_text.hpp"
#include "support/tiny_template.hpp"
#include "support/tuning_records.hpp"

namespace jit {
namespace {

// The tiny template in a folder of its own.
struct TinyFolder {
  testing::TemporaryDirectory directory;
  TableArena arena;
  std::filesystem::path folder = testing::write_tiny(directory) / "tiny";
  table::Template bare = read();

  table::Template read() { return read_template(folder, {}, arena); }
  void write(const std::string& file, const std::string& text) {
    directory.write("templates/tiny/tuning/" + file, text);
  }
};

TEST_CASE("a template without a folder of records has none") {
  TinyFolder tiny;
  CHECK(tiny.bare.tuning_records.empty());
  tiny.write("notes.txt", "no records");
  tiny.write("old.jsonl.orig", "{");
  CHECK(tiny.read().tuning_records.empty());
}

TEST_CASE("a record beside the manifest is all that it was, and no part of the bundle") {
  TinyFolder tiny;
  const TuningRecord record = testing::measured_tiny_record(tiny.bare, 64);
  tiny.write("h200.jsonl", "\n" + record.text() + "\n");
  const table::Template tmpl = tiny.read();
  CHECK(tmpl.bundle_sha256 == tiny.bare.bundle_sha256);
  REQUIRE(tmpl.tuning_records.size() == 1);
  const table::TuningRecord& read = tmpl.tuning_records[0];
  CHECK(read.problem.empty());
  CHECK(read.place == "tiny/tuning/h200.jsonl:2");
  CHECK(read.bundle_sha256 == tuning_digest(tiny.bare));
  CHECK(make_tuning_record(tmpl, read).text() == [&] {
    TuningRecord bare = without_evidence(record);
    bare.evidence.at.clear();
    return bare.text();
  }());
  // Typed as the manifest declares them, as a request's are.
  for (const Constant& constant : read.shape) {
    if (constant.name == "ELEMENT_TYPE_OF_INPUT") CHECK(constant.value == Value(f32));
  }
}

TEST_CASE("of all files the newest record comes first, and what is none last, with its reason") {
  TinyFolder tiny;
  TuningRecord older = testing::tiny_record(tiny.bare, 64, 32, 1);
  TuningRecord newer = testing::tiny_record(tiny.bare, 64, 128, 2);
  TuningRecord foreign = testing::tiny_record(tiny.bare, 64, 128, 3);
  older.evidence.at = "2026-01-01T00:00:00Z";
  foreign.evidence.at = "2025-01-01T00:00:00Z";
  foreign.name = "other";
  const std::string half = newer.text().substr(0, 100);
  tiny.write("a.jsonl", half + "\n" + older.text() + "\n");
  tiny.write("b.jsonl", newer.text() + "\n" + foreign.text() + "\n");
  const auto records = tiny.read().tuning_records;
  REQUIRE(records.size() == 4);
  CHECK(records[0].place == "tiny/tuning/b.jsonl:1");
  CHECK(records[1].place == "tiny/tuning/a.jsonl:2");
  CHECK(records[2].place == "tiny/tuning/b.jsonl:2");
  CHECK(records[2].problem == "is of template other");
  CHECK(records[2].set.empty());
  CHECK(records[3].place == "tiny/tuning/a.jsonl:1");
  CHECK_FALSE(records[3].problem.empty());
  CHECK(records[3].device.empty());
}

TEST_CASE("a value that the template does not have is kept for who uses the record") {
  TinyFolder tiny;
  TuningRecord record = testing::tiny_record(tiny.bare, 64, 999, 1);
  record.shape[0].value = std::string("f64");
  tiny.write("h200.jsonl", record.text());
  const auto records = tiny.read().tuning_records;
  REQUIRE(records.size() == 1);
  CHECK(records[0].problem.empty());
  CHECK(records[0].shape[0].value == Value("f64"));
  CHECK(records[0].set[1].value == Value(999));
}

TEST_CASE("a file of records that cannot be read says so and stops nothing") {
  TinyFolder tiny;
  std::filesystem::create_directories(tiny.folder / "tuning" / "folder.jsonl");
  std::filesystem::create_symlink("nowhere", tiny.folder / "tuning" / "gone.jsonl");
  const auto records = tiny.read().tuning_records;
  REQUIRE(records.size() == 2);
  CHECK(records[0].place == "tiny/tuning/folder.jsonl");
  CHECK(records[0].problem.starts_with("cannot be read: "));
  CHECK(records[1].place == "tiny/tuning/gone.jsonl");
}

}  // namespace
}  // namespace jit
