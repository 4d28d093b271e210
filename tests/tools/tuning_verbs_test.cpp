#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <string>

#include "signature/template_directory.hpp"
#include "support/tiny_template.hpp"
#include "support/tuning_records.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::read_text;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

struct Record {
  int size = 8;
  int threads = 128;
  int stages = 2;
  std::string device = "NVIDIA H200";
  std::string at = "2026-11-21T18:00:00Z";
  std::string arch = "sm_90";
  std::string phase = "decode";
};

// The fixture's tiny template, and records of it as they are now.
class TuningFixture : public CommandFixture {
 public:
  TuningFixture() {
    add_tiny_template(*this);
    jit::TableArena arena;
    bundle_ = jit::testing::tiny_record(
                  jit::read_template(folder() / "templates" / "tiny", {}, arena), 8, 32, 1)
                  .bundle;
  }

  std::string line(const Record& record) const {
    const json shape{{"ELEMENT_TYPE_OF_INPUT", "f32"},
                     {"FLAG", false},
                     {"ORDER", "row_major"},
                     {"SIZE", record.size}};
    return json{
               {"template", "tiny"},
               {"shape", shape},
               {"buckets", {{"phase", record.phase}}},
               {"arch", record.arch},
               {"toolchain", "13.0"},
               {"bundle", bundle_},
               {"device", {{"name", record.device}, {"multiprocessors", 132}, {"memory_gib", 141}}},
               {"set", {{"STAGES", record.stages}, {"THREADS", record.threads}}},
               {"at", record.at}}
               .dump() +
           "\n";
  }

  // The record with evidence: twice as fast as the untuned choice.
  std::string measured(const Record& record) const {
    json whole = json::parse(line(record));
    const auto variant = [](int threads, int stages, double us) {
      return json{{"set", {{"STAGES", stages}, {"THREADS", threads}}},
                  {"verdict", "measured"},
                  {"us", {{us, us, us, 9}}}};
    };
    whole["evidence"] = {
        {"winner", 1},
        {"untuned", 0},
        {"sizes", {{{"num_tokens", 4}}}},
        {"variants", {variant(64, 1, 4.0), variant(record.threads, record.stages, 2.0)}}};
    return whole.dump() + "\n";
  }

  void write_cache(const std::string& text) const {
    fs::create_directories(cache());
    fs::permissions(cache(), fs::perms::owner_all);
    folder().write("cache/tuning.jsonl", text);
    fs::permissions(cache() / "tuning.jsonl", fs::perms::owner_read | fs::perms::owner_write);
  }

 private:
  std::string bundle_;  // what records of the template as it is now name
};

const json& source_of(const json& shown, const std::string& kind) {
  for (const json& source : shown.at("sources")) {
    if (source.at("kind") == kind) return source;
  }
  FAIL("no source " << kind);
  return shown;
}

}  // namespace

TEST_CASE("tuning show lists every source in the order in which they count") {
  TuningFixture fixture;
  const auto file = fixture.folder().write(
      "team.jsonl", fixture.line({.threads = 32}) + fixture.line({.size = 16}) + "{\"torn");
  fixture.write_cache(fixture.measured({}));
  fixture.environment["CUBINET_TUNING_FILES"] = file.string();
  const CommandResult result = fixture.run({"tuning", "show", "--json"});
  INFO(result.err);
  REQUIRE(result.code == 0);
  const json shown = result.json();
  CHECK(shown.at("sources").at(0).at("kind") == "directory");
  CHECK(shown.at("sources").at(1).at("kind") == "file");
  const json& own = source_of(shown, "directory");
  REQUIRE(own.at("records").size() == 1);
  CHECK(own.at("records").at(0).at("speedup") == 2.0);
  CHECK(own.at("records").at(0).at("record").at("device").at("name") == "NVIDIA H200");
  const json& team = source_of(shown, "file");
  REQUIRE(team.at("records").size() == 1);
  CHECK(team.at("records").at(0).at("record").at("shape").at("SIZE") == 16);
  REQUIRE(team.at("skipped").size() == 2);
  CHECK(team.at("skipped").at(0).at("issue") == "replaced");
  CHECK(team.at("skipped").at(0).at("reason") ==
        (fixture.cache() / "tuning.jsonl").string() + ":1 counts before it, for the same thing");
  CHECK(team.at("skipped").at(1).at("issue") == "damaged");
  CHECK(team.at("skipped").at(1).at("place") == file.string() + ":3");

  const CommandResult people = fixture.run({"tuning", "show"});
  CHECK(people.out_has("file " + file.string() + ": 1 records, 2 skipped\n"));
  CHECK(
      people.out_has("NVIDIA H200  sm_90  13.0   STAGES=2 THREADS=128   2.00 x  "
                     "tiny[ELEMENT_TYPE_OF_INPUT=f32,FLAG=false,ORDER=row_major,SIZE=8] "
                     "phase=decode"));
  CHECK(people.out_has("damaged   it is torn: its end is missing"));
}

TEST_CASE("tuning show names what is wrong with each record, and goes on") {
  TuningFixture fixture;
  const std::string good = fixture.line({});
  std::string old = good;
  old.replace(old.find("\"bundle\":\"") + 10, 4, "ffff");
  std::string gone = good;
  gone.replace(gone.find("\"tiny\""), 6, "\"gone\"");
  const auto file = fixture.folder().write("t.jsonl", old + fixture.line({.size = 9}) + gone +
                                                          good.substr(0, 90) + "\n" +
                                                          fixture.line({.arch = "sm_77"}) + good);
  const json shown = fixture.run({"tuning", "show", file.string(), "--json"}).json();
  REQUIRE(shown.at("sources").size() == 1);
  const json& source = shown.at("sources").at(0);
  REQUIRE(source.at("records").size() == 1);
  CHECK(source.at("records").at(0).at("place") == file.string() + ":6");
  CHECK(source.at("records").at(0).at("speedup").is_null());
  std::string issues;
  for (const json& skipped : source.at("skipped")) {
    issues += skipped.at("issue").get<std::string>() + " ";
    CHECK_FALSE(skipped.at("reason").get<std::string>().empty());
  }
  CHECK(issues == "old_bundle out_of_domain other_template damaged other_arch ");
}

TEST_CASE("tuning show of nothing, of stdin, and of what cannot be read") {
  TuningFixture fixture;
  fixture.environment["CUBINET_TUNING_FILES"] = "/nowhere/t.jsonl";
  const CommandResult empty = fixture.run({"tuning", "show"});
  CHECK(empty.code == 0);
  CHECK(empty.out_has("file /nowhere/t.jsonl: 0 records; no such file"));
  const CommandResult missing = fixture.run({"tuning", "show", "/nowhere/t.jsonl"});
  CHECK(missing.code == 1);
  CHECK(missing.err_has("read tuning records /nowhere/t.jsonl: no such file"));
  CHECK(fixture.run({"tuning", "show", "/dev/null"}).err_has("it is no regular file"));
  const auto file = fixture.folder().write("t.jsonl", fixture.line({})).string();
  CHECK(fixture.shell("cat " + file + " | $CUBINET tuning show -").out_has("file -: 1 records"));
  CHECK_FALSE(fs::exists(fixture.cache()));
}

TEST_CASE("tuning merge keeps the newest record per thing, the same bytes whatever the order") {
  const TuningFixture fixture;
  const std::string newer = fixture.line({.threads = 32, .at = "2026-11-22T00:00:00Z"});
  const std::string other = fixture.line({.device = "NVIDIA H100 PCIe"});
  const auto one = fixture.folder().write("one", fixture.measured({}) + other).string();
  const auto two = fixture.folder().write("two", newer + fixture.line({.size = 16})).string();
  const std::string out = fixture.folder() / "out";
  const CommandResult merged = fixture.run({"tuning", "merge", "--output", out, one, two});
  INFO(merged.err);
  CHECK(merged.code == 0);
  CHECK(merged.err_has("3 tuning records from 2 files"));
  const std::string text = read_text(out);
  CHECK(std::count(text.begin(), text.end(), '\n') == 3);
  CHECK(text.find(R"("set":{"STAGES":2,"THREADS":32},"at":"2026-11-22T00:00:00Z")") !=
        std::string::npos);
  CHECK(text.find("evidence") == std::string::npos);
  CHECK(fixture.run({"tuning", "merge", two, out, one, two}).out == text);
  CHECK(fixture.run({"tuning", "merge", "--output", out, out}).code == 0);
  CHECK(read_text(out) == text);
  CHECK(fixture.shell("cat " + two + " | $CUBINET tuning merge - " + one).out == text);
}

TEST_CASE("tuning merge keeps evidence unless it is told otherwise") {
  const TuningFixture fixture;
  const auto file = fixture.folder().write("t", fixture.measured({})).string();
  CHECK(fixture.run({"tuning", "merge", file}).out.find("\"evidence\":{") != std::string::npos);
  const CommandResult bare = fixture.run({"tuning", "merge", "--without-evidence", file});
  CHECK(json::parse(bare.out) == json::parse(fixture.line({})));
}

TEST_CASE("tuning merge names what it leaves out, and fails") {
  const TuningFixture fixture;
  const auto torn = fixture.folder().write("torn", fixture.line({}) + "{\"a").string();
  const std::string out = fixture.folder() / "out";
  const CommandResult result = fixture.run({"tuning", "merge", "--output", out, torn});
  CHECK(result.code == 1);
  CHECK(result.err_has("read tuning records " + torn +
                       ":2: the line is skipped: it is torn: its end is missing"));
  CHECK(json::parse(read_text(out)) == json::parse(fixture.line({})));
  CHECK(fixture.run({"tuning", "merge"}).code == 2);
  CHECK(fixture.run({"tuning", "merge", "--output", out, out + ".none"}).code == 1);
  CHECK(fixture.run({"tuning", "merge", "--output", "/nowhere/out", torn}).code == 1);
  fs::create_symlink("/dev/null", fixture.folder() / "link");
  const std::string link = fixture.folder() / "link";
  CHECK(fixture.run({"tuning", "merge", "--output", link, torn})
            .err_has("it is no regular file; - is stdout"));
  CHECK(fixture.run({"tuning"}).code == 2);
}

TEST_CASE("a pack carries the tuning records that choose its kernels, and no others") {
  TuningFixture fixture;
  fixture.write_cache(fixture.measured({}) + fixture.line({.size = 4096}) +
                      fixture.line({.arch = "sm_100"}) + fixture.line({.size = 9}));
  const CommandResult compiled =
      fixture.run({"precompile", "tiny", "--set", "SIZE=8", "--set", "STAGES=2", "--set",
                   "THREADS=128", "--arch", "sm_90", "-j", "1"});
  INFO(compiled.err);
  REQUIRE(compiled.code == 0);
  const std::string pack = fixture.folder() / "a.cupack";
  const CommandResult made = fixture.run({"pack", "create", pack, "--json"});
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(made.json().at("tuning_records") == 1);
  const json listed = fixture.run({"pack", "ls", pack, "--json"}).json();
  json expected = json::parse(fixture.line({}));
  expected.erase("at");
  CHECK(listed.at("tuning") == json::array({expected}));
  CHECK(fixture.run({"pack", "ls", pack}).out_has("1 entries, 1 tuning records, "));
  CHECK(fixture.run({"pack", "verify", pack}).code == 0);

  // The same choice, measured at another time: the same pack.
  const std::string first = read_text(pack);
  fixture.write_cache(fixture.line({.at = "2026-12-24T00:00:00Z"}));
  REQUIRE(fixture.run({"pack", "create", pack}).code == 0);
  CHECK((read_text(pack) == first));

  fixture.environment["CUBINET_PACKS"] = pack;
  const std::string other = fixture.folder() / "other";
  const json shown = fixture.run({"--cache-dir", other, "tuning", "show", "--json"}).json();
  CHECK(source_of(shown, "pack").at("records").size() == 1);
  CHECK(source_of(shown, "pack").at("place") == pack);

  for (int i = 0; i < 2; ++i) REQUIRE(fixture.run({"pack", "extract", pack, other}).code == 0);
  CHECK(json::parse(read_text(fs::path(other) / "tuning.jsonl")) == expected);
}

TEST_CASE("a pack's damaged tuning records are found out and stand in nobody's way") {
  TuningFixture fixture;
  fixture.write_cache(fixture.line({}));
  REQUIRE(fixture
              .run({"precompile", "tiny", "--set", "SIZE=8", "--set", "STAGES=2", "--set",
                    "THREADS=128", "--arch", "sm_90", "-j", "1"})
              .code == 0);
  const std::string pack = fixture.folder() / "a.cupack";
  REQUIRE(fixture.run({"pack", "create", pack}).code == 0);
  std::string bytes = read_text(pack);
  bytes[bytes.size() - 5] ^= 1;
  fixture.folder().write("a.cupack", bytes);
  fs::permissions(pack, fs::perms::owner_read | fs::perms::owner_write);
  const CommandResult verified = fixture.run({"pack", "verify", pack});
  CHECK(verified.code == 1);
  CHECK(verified.out_has("tuning records: damaged"));
  CHECK(fixture.run({"pack", "ls", pack}).err_has("its tuning records are damaged"));
  const std::string other = fixture.folder() / "other";
  const CommandResult extracted = fixture.run({"pack", "extract", pack, other});
  CHECK(extracted.code == 1);
  CHECK(extracted.out_has("1 entries extracted"));
  fixture.environment["CUBINET_PACKS"] = pack;
  const CommandResult shown = fixture.run({"--cache-dir", other, "tuning", "show"});
  CHECK(shown.code == 0);
  CHECK(shown.out_has("pack " + pack + ": 0 records; read pack"));
}
