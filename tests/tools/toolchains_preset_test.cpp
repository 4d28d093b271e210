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

// 90 for "9.0"; `none` where a template has no such bound.
int number_of(const json& capability, int none) {
  if (capability.is_null()) return none;
  const auto text = capability.get<std::string>();
  return std::stoi(text.substr(0, text.find('.'))) * 10 +
         std::stoi(text.substr(text.find('.') + 1));
}

// The kernels of one template: every preset over every bucket, for architectures that have it.
struct Presets {
  int min_capability = 0;
  int max_capability = 0;
  std::size_t signatures = 0;
};

// Compiles all of them for sm_90a, so that they are in the cache then. Requires: sm_90a has all.
std::vector<Presets> presets_of_all(const CommandFixture& fixture) {
  std::vector<Presets> all;
  const json list = fixture.run({"templates", "--json"}).json();
  for (const json& tmpl : list.at("templates")) {
    std::set<std::string> signatures;
    const std::string name = tmpl.at("name");
    for (const json& preset : tmpl.at("presets")) {
      const CommandResult result =
          fixture.run({"precompile", name, "--preset", preset.get<std::string>(), "--arch",
                       "sm_90a", "--json"});
      REQUIRE(result.code == 0);
      const json report = result.json();
      for (const json& kernel : report.at("kernels")) {
        signatures.insert(kernel.at("signature").get<std::string>());
      }
    }
    all.push_back({number_of(tmpl.at("min_capability"), 0),
                   number_of(tmpl.at("max_capability"), 1000), signatures.size()});
  }
  return all;
}

std::size_t signatures_of(const std::vector<Presets>& all) {
  std::size_t count = 0;
  for (const Presets& presets : all) count += presets.signatures;
  return count;
}

// What a release compiles of them for those of kArchs that it knows.
std::size_t kernels_for(const std::vector<Presets>& all, jit::CompilerRelease release) {
  std::size_t count = 0;
  for (const jit::Arch arch : jit::testing::kArchs) {
    if (!compiler_knows(release, arch)) continue;
    for (const Presets& presets : all) {
      const int number = arch.number();
      if (number < presets.min_capability || number > presets.max_capability) continue;
      count += presets.signatures;
    }
  }
  return count;
}

bool has_later_assembler(const FetchedNvrtc& nvrtc) {
  return nvrtc.release() >= jit::CompilerRelease{12, 8};
}

}  // namespace

TEST_CASE("every release compiles every preset for every architecture that it knows, once",
          "[.toolchains]") {
  CommandFixture fixture;
  const FetchedNvrtc& newest = releases().back();
  use(fixture, newest);
  const std::vector<Presets> presets = presets_of_all(fixture);
  const std::size_t compiled_before = fixture.entries().size();
  REQUIRE(compiled_before > 10);
  REQUIRE(compiled_before == signatures_of(presets));

  std::size_t expected_entries = compiled_before;
  std::map<std::string, std::size_t> expected_by_release;
  for (const FetchedNvrtc& nvrtc : releases()) {
    CAPTURE(nvrtc.version);
    use(fixture, nvrtc);
    const std::string archs = known_of_kArchs(nvrtc.release());
    const std::size_t count = kernels_for(presets, nvrtc.release());
    const std::size_t missing = &nvrtc == &newest ? count - compiled_before : count;
    const json first = precompile_all(fixture, archs);
    CHECK(first.at("compiled") == missing);
    CHECK(first.at("kernels").size() == count);
    CHECK(first.at("failed") == 0);
    for (const json& kernel : first.at("kernels")) {
      CHECK(kernel.at("toolchain") == nvrtc.id());
      // The assembler of 12.4 spills in fp8_attention, which is slower there, and right.
      const bool may_spill =
          kernel.at("template") == "fp8_attention" && !has_later_assembler(nvrtc);
      if (may_spill) continue;
      CAPTURE(kernel.at("signature"));
      CHECK(kernel.at("spill_bytes") == 0);
    }
    expected_entries += missing;
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
