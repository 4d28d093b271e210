#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "support/tiny_template.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

std::string line(const std::string& constants, const std::string& phase = "decode",
                 const std::string& debug = "none") {
  return R"({"template":"tiny","constants":{"ELEMENT_TYPE_OF_INPUT":"f32","FLAG":false,)"
         R"("ORDER":"row_major",)" +
         constants + R"(},"buckets":{"phase":")" + phase + R"("},"debug":")" + debug + "\"}\n";
}

const std::string kA = line(R"("SIZE":8)");
const std::string kB = line(R"("SIZE":16)", "mixed");
const std::string kC = line(R"("SIZE":16)", "prefill");  // the same kernel as kB
const std::string kD = line(R"("SIZE":16,"STAGES":3)", "decode", "lineinfo");
const std::string kGone = "{\"template\":\"gone\"}\n";
const std::string kTorn = "{\"template\":\"ti";

}  // namespace

TEST_CASE("record merge: sorted, every request once, the same bytes whatever the order") {
  const CommandFixture fixture;
  const auto one = fixture.folder().write("one", kD + kB + kA).string();
  const auto two = fixture.folder().write("two", kC + kA + kGone).string();
  const std::string out = fixture.folder() / "out";
  const CommandResult first = fixture.run({"record", "merge", out, one, two});
  INFO(first.err);
  CHECK(first.code == 0);
  const std::string text = jit::testing::read_text(out);
  std::vector<std::string> expected{
      R"({"template":"gone","constants":{},"buckets":{},"debug":"none"})"
      "\n",
      kA, kB, kC, kD};
  std::string all;
  for (const std::string& one_line : expected) all += one_line;
  CHECK(text == all);
  CHECK(fixture.run({"record", "merge", "-", two, two, one}).out == text);
  CHECK(fixture.run({"record", "merge", out, out}).code == 0);
  CHECK(jit::testing::read_text(out) == text);
  CHECK(fixture.shell("cat " + two + " | $CUBINET record merge - - " + one).out == text);
}

TEST_CASE("record merge takes the place of a file alone") {
  const CommandFixture fixture;
  const auto one = fixture.folder().write("one", kA).string();
  const std::filesystem::path link = fixture.folder() / "link";
  std::filesystem::create_symlink("/dev/null", link);
  const CommandResult merged = fixture.run({"record", "merge", link.string(), one});
  CHECK(merged.code == 1);
  CHECK(merged.err_has("it is no regular file"));
  CHECK(std::filesystem::is_symlink(link));
}

TEST_CASE("record merge names what it leaves out, and fails") {
  const CommandFixture fixture;
  const auto torn = fixture.folder().write("torn", kA + kTorn).string();
  const std::string out = fixture.folder() / "out";
  const CommandResult result = fixture.run({"record", "merge", out, torn});
  CHECK(result.code == 1);
  CHECK(result.err_has("read recording " + torn + ":2: the line is skipped: it is torn"));
  CHECK(jit::testing::read_text(out) == kA);
  CHECK(fixture.run({"record", "merge", out}).code == 2);
  CHECK(fixture.run({"record", "merge", out, out + ".none"}).code == 1);
  CHECK(jit::testing::read_text(out) == kA);
  CHECK(fixture.run({"record", "merge", (fixture.folder() / "none/out").string(), torn}).code == 1);
}

TEST_CASE("record show counts requests, signatures and what today's templates do not know") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto file = fixture.folder().write("r.jsonl", kA + kB + kC + kD + kGone + kTorn).string();
  const CommandResult people = fixture.run({"record", "show", file});
  CHECK(people.code == 0);
  CHECK(people.out_has("tiny             4           3        0"));
  CHECK(people.out_has("5 requests, 3 signatures, 1 unknown, 1 lines skipped"));
  CHECK(people.err_has("replay " + file + ":5: get gone: no such template"));
  CHECK(people.err_has(file + ":6: the line is skipped: it is torn"));
  const json shown = fixture.run({"record", "show", file, "--json"}).json();
  CHECK(shown.at("requests") == 5);
  CHECK(shown.at("templates").at("tiny") ==
        json({{"requests", 4}, {"signatures", 3}, {"unknown", 0}}));
  CHECK(shown.at("templates").at("gone").at("unknown") == 1);
  CHECK(shown.at("signatures").size() == 3);
  CHECK(shown.at("skipped").at(0).at("place") == file + ":6");
  CHECK(fixture.run({"record", "show", file, "--verbose"}).out_has("STAGES=3]  --debug lineinfo"));
}

TEST_CASE("precompile --from compiles what was recorded, and no more") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto one = fixture.folder().write("one.jsonl", kA + kB + kC).string();
  const auto two = fixture.folder().write("two.jsonl", kC + kD).string();
  const std::vector<std::string> words{"precompile", "--from", one,      "--from", two,
                                       "--arch",     "sm_90a", "--json", "-j",     "2"};
  const CommandResult first = fixture.run(words);
  INFO(first.err);
  REQUIRE(first.code == 0);
  CHECK(first.json().at("compiled") == 3);
  CHECK(first.json().at("lost").empty());
  CHECK(fixture.entries().size() == 3);
  CHECK(fixture.run(words).json().at("hits") == 3);
  const CommandResult more = fixture.run(
      {"precompile", "tiny", "--set", "SIZE=24", "--from", one, "--arch", "sm_90a", "--json"});
  CHECK(more.json().at("hits") == 2);
  CHECK(more.json().at("compiled") == 2);
}

TEST_CASE("precompile --from reports what it cannot take, one by one, and compiles the rest") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto file =
      fixture.folder().write("r.jsonl", kGone + kTorn + "\n" + line(R"("SIZE":9)") + kA).string();
  const CommandResult people = fixture.run({"precompile", "--from", file, "--arch", "sm_90a"});
  CHECK(people.code == 1);
  CHECK(people.err_has(file + ":1: get gone: no such template"));
  CHECK(people.err_has(file + ":2: the line is skipped: it is torn"));
  CHECK(people.err_has(file + ":3: get tiny: SIZE=9 is out of its domain"));
  CHECK(fixture.entries().size() == 1);
  const CommandResult again =
      fixture.run({"precompile", "--from", file, "--arch", "sm_90a", "--json"});
  CHECK(again.code == 1);
  CHECK(again.json().at("lost").size() == 3);
  CHECK(again.json().at("hits") == 1);
  CHECK(fixture.run({"precompile", "--from", file + ".none", "--arch", "sm_90a"}).code == 1);
  CHECK(fixture.run({"precompile", "--arch", "sm_90a"}).code == 2);
}
