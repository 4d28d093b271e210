#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "tools/command_fixture.hpp"
#include "tools/report_records.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::merge_record;
using jit::testing::read_text;
using nlohmann::json;

namespace {

std::string lines_of(const std::vector<jit::TuningRecord>& records) {
  std::string text;
  for (const jit::TuningRecord& record : records) text += record.text() + "\n";
  return text;
}

}  // namespace

TEST_CASE("report of an empty cache says that there is nothing") {
  const CommandFixture fixture;
  const CommandResult said = fixture.run({"report"});
  CHECK(said.code == 0);
  CHECK(said.out_has("0 kernels, 0 B"));
  CHECK_FALSE(std::filesystem::exists(fixture.cache()));
  CHECK(fixture.run({"report", "--cache-dir", "none", "--html", "-"}).out_has("0 kernels"));
}

TEST_CASE("report shows every kernel of a cache by template") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  REQUIRE(
      fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90a", "-j", "1"}).code ==
      0);
  const json said = fixture.run({"report", "--json"}).json();
  REQUIRE(said.at("kernels").size() == 3);
  CHECK(said.at("templates").at(0).at("template") == "tiny");
  CHECK(said.at("templates").at(0).at("kernels") == 3);
  const json entries = fixture.run({"cache", "ls", "--json"}).json().at("entries");
  for (const json& kernel : said.at("kernels")) {
    const auto entry = std::find_if(entries.begin(), entries.end(), [&](const json& candidate) {
      return candidate.at("key").get<std::string>().starts_with(
          kernel.at("key").get<std::string>());
    });
    REQUIRE(entry != entries.end());
    CHECK(kernel.at("registers") == entry->at("registers"));
    CHECK(kernel.at("bytes") == entry->at("bytes"));
    // Few registers and threads by launch bounds: the blocks that fit are the limit.
    CHECK(kernel.at("occupancy").get<double>() >= 0.5);
  }
  CHECK(fixture.run({"report"}).out_has("3 kernels"));
  const std::string page = fixture.folder() / "page.html";
  const CommandResult written = fixture.run({"report", "--html", page});
  // Of the tuning records there are those that ship with templates.
  std::size_t shipped = 0;
  const json known = fixture.run({"tuning", "show", "--json"}).json();
  for (const json& source : known.at("sources")) shipped += source.at("records").size();
  CHECK(written.out == page + ": 3 kernels, " + std::to_string(shipped) + " tuning records\n");
  const std::string text = read_text(page);
  CHECK(text.find("<h3>tiny</h3>") != std::string::npos);
  for (const json& entry : entries) {
    CHECK(text.find(entry.at("key").get<std::string>().substr(0, 12)) != std::string::npos);
  }
}

TEST_CASE("report finds records in files and cache, and says what is no record") {
  CommandFixture fixture;
  jit::TuningRecord older = merge_record("decode");
  older.evidence.at = "2025-01-01T00:00:00Z";
  const std::string named = fixture.folder().write(
      "named.jsonl", lines_of({older, merge_record("decode")}) + "{\"torn\n");
  const std::string more =
      fixture.folder().write("more.jsonl", lines_of({merge_record("prefill")}));
  std::filesystem::create_directories(fixture.cache());
  std::filesystem::permissions(fixture.cache(), std::filesystem::perms::owner_all);
  jit::TuningRecord foreign = merge_record("decode");
  foreign.name = "no_such_template";
  fixture.folder().write("cache/tuning.jsonl", lines_of({foreign}));

  const CommandResult said = fixture.run({"report", named, more, "--json"});
  INFO(said.err);
  REQUIRE(said.code == 0);
  const json records = said.json().at("records");
  REQUIRE(records.size() >= 3);
  CHECK(records.at(0).at("template") == "merge_attn_states");
  CHECK(records.at(0).at("buckets").at("phase") == "decode");
  CHECK(records.at(0).at("set").at("THREADS") == 128);
  CHECK(records.at(0).at("variants") == 8);
  CHECK(records.at(0).at("measured") == 4);
  CHECK(said.json().at("skipped").size() == 1);
  CHECK(said.json().at("skipped").at(0).at("place").get<std::string>().ends_with("named.jsonl:3"));
  const auto named_so = [&](const char* name) {
    return std::find_if(records.begin(), records.end(),
                        [&](const json& record) { return record.at("template") == name; });
  };
  REQUIRE(named_so("no_such_template") != records.end());
  CHECK_FALSE(named_so("no_such_template")->at("unused").is_null());
  CHECK(std::any_of(records.begin(), records.end(), [](const json& record) {
    return record.at("buckets").at("phase") == "prefill" &&
           record.at("faster_than_untuned").is_number();
  }));
  CHECK(fixture.run({"report", named}).out_has("passed over"));
}

TEST_CASE("report reads what every process here reads, and says what it cannot") {
  CommandFixture fixture;
  const std::string file =
      fixture.folder().write("team.jsonl", lines_of({merge_record("prefill")}));
  const std::string missing = fixture.folder() / "gone.jsonl";
  fixture.environment["CUBINET_TUNING_FILES"] = file + ":" + missing;
  const json said = fixture.run({"report", "--json"}).json();
  const json& records = said.at("records");
  CHECK(std::any_of(records.begin(), records.end(), [](const json& record) {
    return record.at("place").get<std::string>().ends_with("team.jsonl:1");
  }));
  REQUIRE(said.at("problems").size() == 1);
  CHECK(said.at("problems").at(0).get<std::string>().find(missing) != std::string::npos);
  const json piped = fixture.shell("$CUBINET report - --json < " + file).json();
  CHECK(piped.at("records").at(0).at("place") == "stdin:1");
}

TEST_CASE("report refuses a file of records that is not there, and a page that cannot be written") {
  const CommandFixture fixture;
  const CommandResult missing = fixture.run({"report", "no_such.jsonl"});
  CHECK(missing.code == 1);
  CHECK(missing.err_has("no_such.jsonl"));
  const CommandResult unwritten = fixture.run({"report", "--html", "/no/such/page.html"});
  CHECK(unwritten.code == 1);
  CHECK(unwritten.err_has("name a file that can be written"));
}
