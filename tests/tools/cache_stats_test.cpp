#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "cache/layout.hpp"
#include "tools/command_fixture.hpp"

using jit::kFormatDirectory;
using jit::testing::add_tiny_template;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using nlohmann::json;

namespace {

json stats_of(const CommandFixture& fixture) {
  return fixture.run({"cache", "stats", "--json"}).json();
}

}  // namespace

TEST_CASE("stats of a cache that is not there are zeros, and make nothing") {
  const CommandFixture fixture;
  const json stats = stats_of(fixture);
  CHECK(stats.at("processes") == 0);
  CHECK(stats.at("directory").at("entries") == 0);
  CHECK(stats.at("directory").at("named_misses").at("newer_than_driver") == 0);
  CHECK(fixture.run({"cache", "stats"}).code == 0);
  CHECK(fixture.run({"cache", "stats", "--reset"}).code == 0);
  CHECK_FALSE(std::filesystem::exists(fixture.cache()));
}

TEST_CASE("stats add up what commands did, until they are reset") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const std::vector<std::string> precompile = {
      "precompile", "tiny", "--all-presets", "--arch", "sm_90", "-j", "2"};
  REQUIRE(fixture.run(precompile).code == 0);
  json stats = stats_of(fixture);
  const std::size_t kernels = fixture.entries().size();
  REQUIRE(kernels == 3);
  CHECK(stats.at("path") == fixture.cache().string());
  CHECK(stats.at("directory").at("hits") == 0);
  CHECK(stats.at("directory").at("misses") == kernels);
  CHECK(stats.at("directory").at("named_misses").at("absent") == kernels);
  CHECK(stats.at("directory").at("published") == kernels);
  CHECK(stats.at("directory").at("entries") == kernels);
  CHECK(stats.at("directory").at("bytes") > 1000);
  CHECK(stats.at("compiles") == kernels);
  CHECK(stats.at("compile_ms") > 0);
  CHECK(stats.at("saved_ms") == 0);
  CHECK(stats.at("running") == 0);
  const std::uint64_t workers = stats.at("processes");
  REQUIRE(fixture.run(precompile).code == 0);
  stats = stats_of(fixture);
  CHECK(stats.at("directory").at("hits") == kernels);
  CHECK(stats.at("saved_ms") == stats.at("compile_ms"));
  CHECK(stats.at("processes") == workers + 1);
  const CommandResult text = fixture.run({"cache", "stats"});
  CHECK(text.out_has("misses     3 absent"));
  CHECK(text.out_has("compiles   3, 0 failed"));
  REQUIRE(fixture.run({"cache", "stats", "--reset"}).code == 0);
  stats = stats_of(fixture);
  CHECK(stats.at("processes") == 0);
  CHECK(stats.at("directory").at("hits") == 0);
  CHECK(stats.at("directory").at("entries") == kernels);
}

TEST_CASE("stats of a directory that is not to be trusted are refused") {
  const CommandFixture fixture;
  std::filesystem::create_directory(fixture.cache());
  REQUIRE(::chmod(fixture.cache().c_str(), 0777) == 0);
  const CommandResult result = fixture.run({"cache", "stats"});
  CHECK(result.code == 1);
  CHECK(result.err_has("chmod o-w"));
}

TEST_CASE("a read-only mode resets nothing, and says so") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  REQUIRE(fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90"}).code == 0);
  fixture.environment["CUBINET_MODE"] = "readonly";
  const CommandResult result = fixture.run({"cache", "stats", "--reset"});
  CHECK(result.code == 1);
  CHECK(result.err_has("CUBINET_MODE=auto"));
  CHECK(stats_of(fixture).at("compiles") == 3);
}

TEST_CASE("gc adds up the statistics of processes that have ended") {
  CommandFixture fixture;
  add_tiny_template(fixture);
  const auto files = [&] {
    std::size_t count = 0;
    for (const auto& file :
         std::filesystem::directory_iterator(fixture.cache() / kFormatDirectory / "stats")) {
      if (file.path().extension() == ".stats") ++count;
    }
    return count;
  };
  REQUIRE(fixture.run({"precompile", "tiny", "--all-presets", "--arch", "sm_90"}).code == 0);
  const json before = stats_of(fixture);
  const std::size_t dead = files();
  REQUIRE(dead > 0);
  const json dry = fixture.run({"cache", "gc", "--dry-run", "--json"}).json();
  CHECK(dry.at("folded_statistics") == 0);
  CHECK(files() == dead);
  CHECK(fixture.run({"cache", "gc", "--json"}).json().at("folded_statistics") == dead);
  CHECK(files() == 0);
  CHECK(stats_of(fixture).at("directory") == before.at("directory"));
  CHECK(stats_of(fixture).at("processes") == before.at("processes"));
}
