#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "jit/version.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;

namespace {

using Words = std::vector<std::string>;

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

// A usage error: exit code 2, one line on stderr, nothing on stdout.
void require_usage_error(const CommandResult& result, std::string_view part) {
  INFO(result.err);
  CHECK(result.code == 2);
  CHECK(result.out.empty());
  CHECK(result.err.starts_with("cubinet: error: "));
  CHECK(lines_of(result.err) == 1);
  CHECK(result.err_has(part));
}

}  // namespace

TEST_CASE("the command prints its version") {
  const CommandResult result = CommandFixture().run({"--version"});
  CHECK(result.code == 0);
  CHECK(result.out == "cubinet " + std::string(jit::kVersion) + "\n");
}

TEST_CASE("every verb explains itself with examples") {
  const CommandFixture fixture;
  const Words verb =
      GENERATE(Words{"templates"}, Words{"render"}, Words{"precompile"}, Words{"cache", "path"},
               Words{"cache", "ls"}, Words{"cache", "show"}, Words{"cache", "verify"},
               Words{"cache", "rm"}, Words{"doctor"}, Words{"bench"});
  Words words = verb;
  words.emplace_back("--help");
  const CommandResult result = fixture.run(words);
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  CHECK(result.out_has("Examples:\n  "));
  CHECK(result.out_has("--json"));
}

TEST_CASE("the command's own help lists its verbs, and no hidden one") {
  const CommandResult result = CommandFixture().run({"--help"});
  CHECK(result.code == 0);
  for (const char* verb : {"templates", "render", "precompile", "cache", "doctor", "--cache-dir"}) {
    CHECK(result.out_has(verb));
  }
  CHECK_FALSE(result.out_has("precompile-worker"));
}

TEST_CASE("without a verb the command prints its help and fails as misused") {
  const CommandFixture fixture;
  const CommandResult result = fixture.run(GENERATE(Words{}, Words{"cache"}));
  CHECK(result.code == 2);
  CHECK(result.out.empty());
  CHECK(result.err_has("sage: cubinet"));
}

TEST_CASE("a command line that cannot be meant is one line and exit code 2") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  require_usage_error(fixture.run({"nonsense"}), "nonsense");
  require_usage_error(fixture.run({"templates", "--nonsense"}), "cubinet templates --help");
  require_usage_error(fixture.run({"templates", "nobody"}), "no such template; there are");
  require_usage_error(fixture.run({"render"}), "name of one template");
  require_usage_error(fixture.run({"render", "tiny", "--set", "SIZE"}), "--set SIZE: expected");
  require_usage_error(fixture.run({"render", "tiny", "--size", "num_tokens=many"}), "NAME=NUMBER");
  require_usage_error(fixture.run({"render", "tiny", "--preset", "huge"}), "small, pinned");
  require_usage_error(fixture.run({"render", "tiny", "--plain", "--standalone"}), "exclude");
  require_usage_error(fixture.run({"render", "tiny", "--debug", "much"}), "lineinfo");
  require_usage_error(fixture.run({"precompile"}), "--all-presets");
  require_usage_error(fixture.run({"precompile", "tiny", "--arch", "90"}), "such as sm_90a");
  require_usage_error(fixture.run({"precompile", "tiny", "-j", "-1"}), "-j -1");
  require_usage_error(fixture.run({"cache", "rm"}), "--all");
  require_usage_error(fixture.run({"cache", "show", "xyz"}), "first digits of a key");
  require_usage_error(fixture.run({"--template-path", "/nowhere", "templates"}),
                      "no such directory");
}

TEST_CASE("a variable that cannot be right is refused by name") {
  CommandFixture fixture;
  fixture.environment["CUBINET_MODE"] = "sometimes";
  require_usage_error(fixture.run({"templates"}), "CUBINET_MODE");
}

TEST_CASE("global options stand before or after the verb and override the environment") {
  CommandFixture fixture;
  const std::string other = fixture.folder() / "other";
  CHECK(fixture.run({"--cache-dir", other, "cache", "path"}).out == other + "\n");
  CHECK(fixture.run({"cache", "path", "--cache-dir", other}).out == other + "\n");
  fixture.environment["CUBINET_CACHE_DIR"] = "none";
  require_usage_error(fixture.run({"cache", "path"}), "memory only");
  CHECK(fixture.run({"cache", "path", "--cache-dir", other}).out == other + "\n");
}

TEST_CASE("a reader that has seen enough ends the command without a word") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result =
      fixture.shell("for i in 1 2 3 4 5; do \"$CUBINET\" templates tiny --json; done | head -n 1");
  CHECK(result.code == 0);
  CHECK(result.out == "{\n");
  CHECK(result.err.empty());
}

TEST_CASE("output that cannot be written is an error") {
  const CommandResult result = CommandFixture().shell("\"$CUBINET\" templates > /dev/full");
  CHECK(result.code == 1);
  CHECK(result.err_has("write output"));
}
