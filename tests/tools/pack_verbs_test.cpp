#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "support/paths.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

void precompile(CommandFixture& fixture) {
  add_tiny_template(fixture);
  const CommandResult result =
      fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90a", "-j", "1"});
  INFO(result.err);
  REQUIRE(result.code == 0);
}

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("a cache is packed, listed, verified and extracted; made twice it is the same bytes") {
  CommandFixture fixture;
  precompile(fixture);
  const std::string pack = (fixture.folder() / "a.cupack").string();
  const CommandResult made = fixture.run({"pack", "create", pack, "--json"});
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(made.json().at("entries") == 3);
  const std::string first = bytes_of(pack);

  const json listed = fixture.run({"pack", "ls", pack, "--json"}).json();
  REQUIRE(listed.at("entries").size() == 3);
  CHECK(listed.at("entries").at(0).at("template") == "tiny");
  CHECK(fixture.run({"pack", "ls", pack}).out_has("3 entries"));
  CHECK(fixture.run({"pack", "verify", pack}).code == 0);

  // Compiled again, elsewhere: other times, the same pack.
  fs::remove_all(fixture.cache());
  precompile(fixture);
  REQUIRE(fixture.run({"pack", "create", pack}).code == 0);
  CHECK((bytes_of(pack) == first));

  const std::string other = (fixture.folder() / "other").string();
  CHECK(fixture.run({"pack", "extract", pack, other}).out_has("3 entries extracted"));
  const CommandResult again = fixture.run(
      {"--cache-dir", other, "precompile", "tiny", "--all-presets", "--arch", "sm_90a", "--json"});
  CHECK(again.json().at("hits") == 3);
}

TEST_CASE("what a cache has already stays as it is when a pack is extracted") {
  CommandFixture fixture;
  precompile(fixture);
  const std::string pack = (fixture.folder() / "a.cupack").string();
  REQUIRE(fixture.run({"pack", "create", pack}).code == 0);
  const std::vector<fs::path> entries = fixture.entries();
  REQUIRE(entries.size() == 3);
  const std::string first = bytes_of(entries[0]);
  fs::remove(entries[1]);
  std::ofstream(entries[2], std::ios::binary) << "damaged";
  const CommandResult extracted = fixture.run({"pack", "extract", pack});
  INFO(extracted.err);
  CHECK(extracted.code == 0);
  CHECK(extracted.out_has("2 entries extracted"));
  CHECK(extracted.out_has("1 were there"));
  CHECK((bytes_of(entries[0]) == first));  // with the time that its compile took
  CHECK(fixture.run({"cache", "verify"}).code == 0);
  CHECK(fixture.run({"pack", "extract", pack, ""}).code == 2);
}

TEST_CASE("the command of a frozen miss makes the pack anew, and then it is served") {
  CommandFixture fixture;
  precompile(fixture);
  const fs::path pack = fixture.folder() / "a b.cupack";
  REQUIRE(fixture.run({"pack", "create", pack.string()}).code == 0);
  // Not for the pack: in the directory of the process, not in the pack.
  REQUIRE(fixture.run({"precompile", "tiny", "--set", "SIZE=40", "--arch", "sm_90a"}).code == 0);
  fixture.environment["PATH"] = fs::path(jit::testing::kCommandPath).parent_path().string() + ":" +
                                fixture.environment["PATH"];
  fixture.environment["CUBINET_PACKS"] = pack.string();
  fixture.environment["CUBINET_MODE"] = "frozen";
  const std::string nothing = (fixture.folder() / "nothing").string();
  const std::vector<std::string> ask = {"--cache-dir", nothing,  "precompile", "tiny",  "--set",
                                        "SIZE=3000",   "--arch", "sm_90a",     "--json"};
  const CommandResult missed = fixture.run(ask);
  CHECK(missed.code == 1);
  const std::string text = missed.json().dump();
  const std::string mark = "add it with: ";
  REQUIRE(text.find(mark) != std::string::npos);
  const json told =
      fixture.run({"explain", "tiny", "--set", "SIZE=3000", "--arch", "sm_90a", "--json"}).json();
  const std::string command = told.at("command");
  CHECK(text.find(command) != std::string::npos);
  const CommandResult done = fixture.shell(command);
  INFO(command << "\n" << done.out << done.err);
  REQUIRE(done.code == 0);
  CHECK(fixture.run(ask).json().at("hits") == 1);
  const json listed = fixture.run({"pack", "ls", pack.string(), "--json"}).json();
  CHECK(listed.at("entries").size() == 4);
}

TEST_CASE("a damaged pack is found out, entry by entry") {
  CommandFixture fixture;
  precompile(fixture);
  const std::string pack = (fixture.folder() / "a.cupack").string();
  REQUIRE(fixture.run({"pack", "create", pack}).code == 0);
  const json first = fixture.run({"pack", "ls", pack, "--json"}).json().at("entries").at(0);
  {
    std::fstream file(pack, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(first.at("offset").get<int>() + first.at("bytes").get<int>() - 40);
    file.put('\x7f').put('\x01').put('\x7f');
  }
  const CommandResult verified = fixture.run({"pack", "verify", pack});
  CHECK(verified.code == 1);
  CHECK(verified.out_has("bad_checksum"));
  CHECK(verified.out_has(first.at("signature").get<std::string>()));
  const CommandResult extracted =
      fixture.run({"pack", "extract", pack, (fixture.folder() / "other").string()});
  CHECK(extracted.code == 1);
  CHECK(extracted.out_has("2 entries extracted"));
  CHECK(fixture.run({"pack", "verify", fixture.cache().string()}).code == 1);
  CHECK(fixture.run({"pack", "ls"}).code == 2);
  const CommandResult absent = fixture.run({"pack", "ls", pack + "s"});
  CHECK(absent.code == 1);
  CHECK(absent.err_has("there is no such file; check the path"));
  CHECK_FALSE(absent.err_has("CUBINET_PACKS"));
}

TEST_CASE("a recording is packed whole or not at all") {
  CommandFixture fixture;
  precompile(fixture);
  const std::string pack = (fixture.folder() / "a.cupack").string();
  const std::string recording = (fixture.folder() / "recording.jsonl").string();
  std::ofstream(recording) << R"({"template":"tiny","constants":{"SIZE":8}})"
                           << "\n";
  const std::vector<std::string> create = {"pack",    "create", pack,    "--from",
                                           recording, "--arch", "sm_90a"};
  const CommandResult made = fixture.run(create);
  INFO(made.err);
  REQUIRE(made.code == 0);
  CHECK(made.out_has("1 entries"));
  fs::remove(pack);
  std::ofstream(recording, std::ios::app) << R"({"template":"tiny","constants":{"SIZE":4000}})"
                                          << "\n";
  const CommandResult missing = fixture.run(create);
  CHECK(missing.code == 1);
  CHECK(missing.err_has("pack tiny[SIZE=4000"));
  CHECK(missing.err_has("cubinet precompile --from " + recording + " --arch sm_90a"));
  CHECK(missing.err_has("add it with: CUBINET_MODE=auto cubinet precompile tiny --set SIZE=4000"));
  const CommandResult elsewhere =
      fixture.run({"--cache-dir", (fixture.folder() / "it's").string(), "pack", "create", pack,
                   "--from", recording, "--arch", "sm_90a"});
  CHECK(elsewhere.code == 1);
  CHECK(elsewhere.err_has("--arch sm_90a --cache-dir '" + (fixture.folder() / "it'\\''s").string() +
                          "'"));
  CHECK_FALSE(fs::exists(pack));
  REQUIRE(fixture.run({"precompile", "--from", recording, "--arch", "sm_90a"}).code == 0);
  CHECK(fixture.run(create).out_has("2 entries"));
  // One that nobody can compile keeps the rest from being packed, and that is said.
  std::ofstream(recording, std::ios::app) << R"({"template":"gone","constants":{}})"
                                          << "\n";
  const CommandResult unknown = fixture.run(create);
  CHECK(unknown.code == 1);
  CHECK(unknown.err_has(recording + ":3: get gone: no such template"));
  CHECK(unknown.err_has("1 of what was recorded cannot be resolved, and no pack is made; take"));
}

TEST_CASE("a template of which there is nothing to pack is named") {
  CommandFixture fixture;
  precompile(fixture);
  const std::string pack = (fixture.folder() / "a.cupack").string();
  const CommandResult one = fixture.run({"pack", "create", pack, "tiny", "tinny"});
  CHECK(one.code == 1);
  CHECK(one.err_has("nothing of tinny to pack in"));
  CHECK_FALSE(fs::exists(pack));
  const CommandResult arch = fixture.run({"pack", "create", pack, "--arch", "sm_100a"});
  CHECK(arch.code == 1);
  CHECK(arch.err_has("nothing to pack in"));
}
