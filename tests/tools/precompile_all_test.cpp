// precompile --all: the whole domain of a template, and --shard.
#include <catch2/catch_test_macros.hpp>
#include <set>

#include "support/tiny_template.hpp"
#include "tools/command_fixture.hpp"

using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::kTinyBody;
using jit::testing::with;
using nlohmann::json;

namespace {

std::vector<std::string> all(std::vector<std::string> more) {
  more.insert(more.begin(), {"precompile", "tiny", "--all", "--arch", "sm_90"});
  return more;
}

const std::vector<std::string> kFew{"--set", "SIZE=8",     "--set", "SIZE=16",
                                    "--set", "FLAG=false", "--set", "ELEMENT_TYPE_OF_INPUT=f32"};

std::vector<std::string> few(std::vector<std::string> more) {
  more.insert(more.begin(), kFew.begin(), kFew.end());
  return all(std::move(more));
}

std::set<std::string> signatures_of(const json& report) {
  std::set<std::string> signatures;
  for (const json& kernel : report.at("kernels")) signatures.insert(kernel.at("signature"));
  return signatures;
}

}  // namespace

TEST_CASE("a whole domain is counted first and refused above its limit, with the number") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result = fixture.run(all({}));
  CHECK(result.code == 2);
  CHECK(
      result.err_has("tiny: 6144 combinations of constants, 3 bucket steps, 1 architecture: "
                     "16908 kernels"));
  CHECK(result.err_has("16908 kernels are more than --limit 1000"));
  CHECK(result.err_has("say --limit 16908"));
  CHECK(result.out.empty());
  CHECK(fixture.entries().empty());
  CHECK(fixture.run(few({"--limit", "7"})).code == 2);
  CHECK(fixture.run({"precompile", "--all", "--arch", "sm_90"}).code == 2);
  CHECK(fixture.run(few({"--all-presets"})).code == 2);
  CHECK(fixture.run(few({"--preset", "small"})).code == 2);
}

TEST_CASE("a domain narrowed by --set, and by a second value") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const CommandResult result = fixture.run(few({"--limit", "8", "--json"}));
  INFO(result.err);
  CHECK(result.code == 0);
  CHECK(
      result.err_has("tiny: 4 combinations of constants, 3 bucket steps, 1 architecture: "
                     "8 kernels"));
  CHECK(result.json().at("compiled") == 8);
  CHECK(signatures_of(result.json()).size() == 8);
  CHECK(fixture.entries().size() == 8);
  // What the domain has, a preset of it finds.
  CHECK(fixture.run({"precompile", "tiny", "--preset", "small", "--arch", "sm_90", "--json"})
            .json()
            .at("hits") == 2);
}

TEST_CASE("what a static_assert refuses of a domain is counted apart and is no failure") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  fixture.folder().write("templates/tiny/tiny.cuh",
                         with(kTinyBody, "Config::SIZE % 8 == 0, \"whole vectors\"",
                              "Config::SIZE != 16, \"sixteen is refused here\""));
  const CommandResult result = fixture.run(few({"--json"}));
  INFO(result.err);
  CHECK(result.code == 0);
  const json report = result.json();
  CHECK(report.at("compiled") == 4);
  CHECK(report.at("refused") == 4);
  CHECK(report.at("failed") == 0);
  for (const json& kernel : report.at("kernels")) {
    if (kernel.at("state") != "refused") continue;
    CHECK(kernel.at("error").get<std::string>().find("sixteen is refused here") !=
          std::string::npos);
    CHECK_FALSE(kernel.contains("reproduction"));
  }
  // Nothing is left behind to be looked into.
  const std::filesystem::path failed = fixture.cache() / "failed";
  CHECK((!std::filesystem::exists(failed) || std::filesystem::is_empty(failed)));

  const CommandResult text = fixture.run(few({}));
  CHECK(text.code == 0);
  CHECK(text.out_has("8 kernels: 0 compiled, 4 hits, 0 failed, 4 refused by their template"));
  CHECK_FALSE(text.err_has("cubinet: error"));
  // A shard may well hold nothing else.
  for (int i = 1; i <= 8; ++i) {
    const CommandResult part = fixture.run(few({"--shard", std::to_string(i) + "/8"}));
    INFO(part.out);
    CHECK(part.code == 0);
  }
  // Asked for by name it is a failure, and a domain that is refused whole is one too.
  CHECK(fixture.run({"precompile", "tiny", "--preset", "pinned", "--arch", "sm_90"}).code == 1);
  CHECK(fixture
            .run(all({"--set", "SIZE=16", "--set", "FLAG=false", "--set", "ORDER=row_major",
                      "--set", "ELEMENT_TYPE_OF_INPUT=f32"}))
            .code == 1);
}

TEST_CASE("an error that is no static_assert fails a domain") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  fixture.folder().write(
      "templates/tiny/tiny.cuh",
      with(kTinyBody, "  const bool rows",
           "  if constexpr (Config::SIZE == 16) params.out[0] = Config::NOTHING;\n"
           "  const bool rows"));
  const CommandResult result = fixture.run(few({"--json"}));
  CHECK(result.code == 1);
  CHECK(result.json().at("failed") == 4);
  CHECK(result.json().at("refused") == 0);
}

TEST_CASE("shards share a list, whatever each machine has cached") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  std::set<std::string> together;
  std::size_t sum = 0;
  for (const char* shard : {"1/3", "2/3", "3/3"}) {
    const CommandResult result = fixture.run(few({"--shard", shard, "--json"}));
    REQUIRE(result.code == 0);
    const json report = result.json();
    CHECK(report.at("hits") == 0);
    sum += report.at("kernels").size();
    together.merge(signatures_of(report));
    CHECK(signatures_of(fixture.run(few({"--shard", shard, "--json"})).json()) ==
          signatures_of(report));
  }
  CHECK(sum == 8);
  CHECK(together.size() == 8);
  CHECK(fixture.run(few({"--json"})).json().at("hits") == 8);
}
