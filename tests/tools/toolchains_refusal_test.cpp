// What is refused by name before the compiler is so much as loaded.
#include <catch2/catch_test_macros.hpp>

#include "tools/toolchains_fixture.hpp"

using jit::Arch;
using jit::compiler_knows;
using jit::explain_unknown;
using jit::testing::CommandFixture;
using jit::testing::CommandResult;
using jit::testing::FetchedNvrtc;
using jit::testing::kPreset;
using jit::testing::kTemplate;
using jit::testing::releases;
using jit::testing::use;

namespace {

// Runs precompile and lets the loader say which libraries it opens, workers included.
CommandResult run_watched(CommandFixture& fixture, const std::string& arch) {
  fixture.environment["LD_DEBUG"] = "files";
  return fixture.run({"precompile", kTemplate, "--preset", kPreset, "--arch", arch});
}

bool loaded_nvrtc(const CommandResult& result) { return result.err_has("libnvrtc"); }

void check_refused(const CommandFixture& fixture, const CommandResult& result, int code,
                   const std::string& reason) {
  INFO(reason);
  CHECK(result.code == code);
  CHECK(result.err_has(reason));
  CHECK_FALSE(loaded_nvrtc(result));
  CHECK(fixture.entries().empty());
}

}  // namespace

TEST_CASE("the watch sees NVRTC when it is loaded", "[.toolchains]") {
  for (const FetchedNvrtc& nvrtc : releases()) {
    CommandFixture fixture;
    use(fixture, nvrtc);
    const CommandResult result = run_watched(fixture, "sm_90a");
    CHECK(result.code == 0);
    CHECK(loaded_nvrtc(result));
    CHECK_FALSE(loaded_nvrtc(run_watched(fixture, "sm_90a")));  // a hit
  }
}

TEST_CASE("an architecture that a release does not know is refused without loading it",
          "[.toolchains]") {
  std::size_t refused = 0;
  for (const FetchedNvrtc& nvrtc : releases()) {
    for (const char* text : {"sm_100a", "sm_103a", "sm_107a", "sm_110a", "sm_120a", "sm_121a"}) {
      const Arch arch = *Arch::parse(text);
      if (compiler_knows(nvrtc.release(), arch)) continue;
      CAPTURE(nvrtc.version, text);
      CommandFixture fixture;
      use(fixture, nvrtc);
      check_refused(fixture, run_watched(fixture, text), 1, explain_unknown(nvrtc.release(), arch));
      ++refused;
    }
  }
  CHECK(refused >= 6);
}

TEST_CASE("an architecture that the template does not know is refused without loading NVRTC",
          "[.toolchains]") {
  for (const FetchedNvrtc& nvrtc : releases()) {
    CommandFixture fixture;
    use(fixture, nvrtc);
    check_refused(fixture, run_watched(fixture, "sm_75"), 1,
                  "sm_75 is below the template's min_capability 8.0");
    check_refused(fixture, run_watched(fixture, "sm_90"), 1,
                  "it needs a specific target and sm_90 is a base one; use sm_90a");
    check_refused(fixture, run_watched(fixture, "sm_100f"), 1,
                  "it needs a specific target and sm_100f is a family one; use sm_100a");
  }
}

TEST_CASE("what is no architecture is refused without loading NVRTC", "[.toolchains]") {
  for (const FetchedNvrtc& nvrtc : releases()) {
    CommandFixture fixture;
    use(fixture, nvrtc);
    for (const std::string nonsense : {"sm_91", "sm_90b", "sm_9", "sm_80a"}) {
      check_refused(fixture, run_watched(fixture, nonsense), 2, "--arch " + nonsense + ": ");
    }
  }
}
