#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>

#include "tools/toolchains_fixture.hpp"

using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::FetchedNvrtc;
using jit::testing::known_of_kArchs;
using jit::testing::releases;
using jit::testing::use;
using nlohmann::json;

namespace {

json precompile_all(const CommandFixture& fixture, const std::string& archs) {
  const CommandResult result =
      fixture.run({"precompile", "--all-presets", "--arch", archs, "--json"});
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  return result.json();
}

// The signatures that one architecture needs: every preset of every template, over every bucket.
std::size_t signatures_of_presets(const CommandFixture& fixture) {
  std::set<std::string> signatures;
  const json list = fixture.run({"templates", "--json"}).json();
  for (const json& tmpl : list.at("templates")) {
    const std::string name = tmpl.at("name");
    for (const json& preset : tmpl.at("presets")) {
      const CommandResult result = fixture.run(
          {"precompile", name, "--preset", preset.get<std::string>(), "--arch", "sm_80", "--json"});
      REQUIRE(result.code == 0);
      const json report = result.json();
      for (const json& kernel : report.at("kernels")) {
        signatures.insert(kernel.at("signature").get<std::string>());
      }
    }
  }
  return signatures.size();
}

}  // namespace

TEST_CASE("every release compiles every preset for every architecture that it knows, once",
          "[.toolchains]") {
  CommandFixture fixture;
  use(fixture, releases().back());
  fixture.environment["CUBINET_CACHE_DIR"] = (fixture.folder() / "other_cache").string();
  const std::size_t per_arch = signatures_of_presets(fixture);
  REQUIRE(per_arch > 10);
  fixture.environment["CUBINET_CACHE_DIR"] = fixture.cache().string();

  std::size_t expected_entries = 0;
  std::map<std::string, std::size_t> expected_by_release;
  for (const FetchedNvrtc& nvrtc : releases()) {
    CAPTURE(nvrtc.version);
    use(fixture, nvrtc);
    const std::string archs = known_of_kArchs(nvrtc.release());
    const auto count =
        per_arch * (1 + static_cast<std::size_t>(std::count(archs.begin(), archs.end(), ',')));
    const json first = precompile_all(fixture, archs);
    CHECK(first.at("compiled") == count);
    CHECK(first.at("failed") == 0);
    for (const json& kernel : first.at("kernels")) CHECK(kernel.at("toolchain") == nvrtc.id());
    expected_entries += count;
    expected_by_release["." + nvrtc.release().text() + "-"] = count;
    CHECK(fixture.entries().size() == expected_entries);
  }
  // Nobody displaced or used another's: each finds its own, and nothing is compiled again.
  for (const FetchedNvrtc& nvrtc : releases()) {
    CAPTURE(nvrtc.version);
    use(fixture, nvrtc);
    const json again = precompile_all(fixture, known_of_kArchs(nvrtc.release()));
    CHECK(again.at("compiled") == 0);
    for (const json& kernel : again.at("kernels")) {
      CHECK(kernel.at("state") == "hit");
      CHECK(kernel.at("toolchain") == nvrtc.id());
    }
  }
  for (const auto& [part, count] : expected_by_release) {
    CAPTURE(part);
    const auto entries = fixture.entries();
    CHECK(std::count_if(entries.begin(), entries.end(), [&, &part = part](const auto& path) {
            return path.filename().string().find(part) != std::string::npos;
          }) == static_cast<std::ptrdiff_t>(count));
  }
  CHECK(fixture.run({"cache", "verify"}).code == 0);
}

TEST_CASE("the architectures of these tests are known by the first releases that have them",
          "[.toolchains]") {
  for (const FetchedNvrtc& nvrtc : releases()) {
    const bool has_blackwell = nvrtc.release() >= jit::CompilerRelease{12, 8};
    CHECK(known_of_kArchs(nvrtc.release()) ==
          (has_blackwell ? "sm_80,sm_90a,sm_100a,sm_120a" : "sm_80,sm_90a"));
  }
}
