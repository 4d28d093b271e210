// Which compiler is chosen for which driver, among several that are installed.
#include <catch2/catch_test_macros.hpp>

#include "support/paths.hpp"
#include "tools/toolchains_fixture.hpp"

using jit::CompilerRelease;
using jit::testing::answer;
using jit::testing::CommandFixture;
using jit::testing::FetchedNvrtc;
using jit::testing::release_of;
using nlohmann::json;

namespace {

constexpr CompilerRelease k129{12, 9};
constexpr CompilerRelease k130{13, 0};

// Both are installed, the newer one first.
void install_both(CommandFixture& fixture, const char* driver) {
  fixture.environment.erase("CUBINET_NVRTC");
  fixture.environment.erase("CUDA_HOME");
  fixture.environment.erase("CUDA_PATH");
  fixture.environment["LD_LIBRARY_PATH"] =
      release_of(k130).lib.string() + ":" + release_of(k129).lib.string();
  fixture.environment["CUBINET_DRIVER"] = jit::testing::kFakeCudaPath;
  fixture.environment["FAKE_CUDA_VERSION"] = driver;
}

bool has_problem(const json& report, const std::string& part) {
  for (const json& problem : report.at("problems")) {
    if (problem.at("what").get<std::string>().find(part) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("a compiler of a newer major than the driver's is not chosen, and doctor names it",
          "[.toolchains]") {
  CommandFixture fixture;
  install_both(fixture, "12020");
  const json report = fixture.run({"doctor", "--json"}).json();
  CHECK(report.at("ok") == true);
  CHECK(report.at("nvrtc").at("release") == "12.9");
  CHECK(report.at("nvrtc").at("wheel").at("package") == "nvidia-cuda-nvrtc-cu12");
  CHECK(report.at("nvrtc").at("wheel").at("version") == release_of(k129).version);
  CHECK(has_problem(report, (release_of(k130).lib / "libnvrtc.so.13").string() +
                                " is newer than the driver, which takes CUDA 12.2"));
  CHECK(answer(fixture) == "compiled " + release_of(k129).id());
}

TEST_CASE("a driver of the same major or a newer one takes the first that is found",
          "[.toolchains]") {
  for (const char* driver : {"13000", "13010", "14000"}) {
    CommandFixture fixture;
    install_both(fixture, driver);
    const json report = fixture.run({"doctor", "--json"}).json();
    CHECK(report.at("nvrtc").at("release") == "13.0");
    CHECK(report.at("problems").empty());
    CHECK(answer(fixture) == "compiled " + release_of(k130).id());
  }
}
