#include "tools/toolchains_fixture.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <sstream>

#include "base/environment.hpp"

namespace jit::testing {
namespace {

namespace fs = std::filesystem;

struct Fetched {
  std::vector<FetchedNvrtc> releases;
  std::vector<FetchedNvrtc> twins;
};

FetchedNvrtc nvrtc_in(const fs::path& folder) {
  for (const char* wheel : {"nvidia/cu13/lib", "nvidia/cuda_nvrtc/lib"}) {
    ToolchainSearch search;
    search.explicit_path = folder / wheel;
    if (auto location = find_toolchain(search, nullptr)) {
      return {folder.filename(), folder / wheel, *location};
    }
  }
  FAIL("no NVRTC in " << folder);
  return {};
}

Fetched read_environment() {
  Fetched fetched;
  std::istringstream folders(get_env("CUBINET_TEST_TOOLCHAINS").value_or(""));
  for (std::string folder; std::getline(folders, folder, ':');) {
    FetchedNvrtc nvrtc = nvrtc_in(folder);
    const bool known =
        std::any_of(fetched.releases.begin(), fetched.releases.end(),
                    [&](const FetchedNvrtc& other) { return other.release() == nvrtc.release(); });
    (known ? fetched.twins : fetched.releases).push_back(std::move(nvrtc));
  }
  std::sort(fetched.releases.begin(), fetched.releases.end(),
            [](const auto& a, const auto& b) { return a.release() < b.release(); });
  INFO("these tests are run by tools/test.sh toolchains");
  REQUIRE(fetched.releases.size() >= 2);
  REQUIRE(fetched.releases.front().release().major == 12);
  REQUIRE(fetched.releases.back().release().major >= 13);
  REQUIRE(fetched.twins.size() == 1);
  return fetched;
}

const Fetched& fetched() {
  static const Fetched all = read_environment();
  return all;
}

}  // namespace

const std::vector<FetchedNvrtc>& releases() { return fetched().releases; }
const FetchedNvrtc& twin() { return fetched().twins.front(); }

const FetchedNvrtc& release_of(CompilerRelease release) {
  const auto found = std::find_if(releases().begin(), releases().end(),
                                  [&](const auto& nvrtc) { return nvrtc.release() == release; });
  INFO("nvrtc " << release.text());
  REQUIRE(found != releases().end());
  return *found;
}

std::string known_of_kArchs(CompilerRelease release) {
  std::string text;
  for (const Arch arch : kArchs) {
    if (compiler_knows(release, arch)) text += (text.empty() ? "" : ",") + arch.text();
  }
  return text;
}

void use(CommandFixture& fixture, const FetchedNvrtc& nvrtc) {
  fixture.environment["CUBINET_NVRTC"] = nvrtc.lib.string();
}

void use_none(CommandFixture& fixture) {
  fixture.environment["CUBINET_NVRTC"] = fixture.environment.at("HOME");
}

nlohmann::json precompile(const CommandFixture& fixture) {
  const CommandResult result =
      fixture.run({"precompile", kTemplate, "--preset", kPreset, "--arch", "sm_90a", "--json"});
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  return result.json();
}

std::string answer(const CommandFixture& fixture) {
  const nlohmann::json report = precompile(fixture);
  const nlohmann::json& first = report.at("kernels").at(0);
  for (const nlohmann::json& kernel : report.at("kernels")) {
    CHECK(kernel.at("state") == first.at("state"));
    CHECK(kernel.at("toolchain") == first.at("toolchain"));
  }
  return first.at("state").get<std::string>() + " " + first.at("toolchain").get<std::string>();
}

}  // namespace jit::testing
