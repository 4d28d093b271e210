// A Runtime that cannot compile serves what was precompiled for its GPU on another machine.
#include <fmt/format.h>

#include <algorithm>

#include "runtime/runtime_fixture.hpp"
#include "support/toolchain_at_hand.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::FakeDevice;
using testing::Scene;
using testing::tiny_constants;

// Precompiles tiny for `arch`, then asks for it on a GPU of `capability` with no compiler at hand.
// Returns: the architecture that was served; empty if nothing was.
std::string served(const char* target, const char* arch, ComputeCapability capability) {
  Scene scene({FakeDevice{capability}});
  testing::write_tiny(scene.directory,
                      testing::with(testing::kTinyManifest, R"("constants": [)",
                                    fmt::format(R"("target": "{}", "constants": [)", target)));
  scene.use(0);
  Runtime(scene.options).precompile("tiny", tiny_constants(), {}, arch);
  REQUIRE(scene.entries().size() == 1);
  scene.options.nvrtc = "/nowhere";
  scene.options.toolchain_policy = ToolchainPolicy::kAny;
  Runtime runtime(scene.options);
  try {
    const Kernel kernel = runtime.get_kernel("tiny", tiny_constants());
    CHECK(runtime.stats().compiles == 0);
    CHECK(runtime.try_get_kernel("tiny", tiny_constants()) == kernel);
    return kernel.info().arch;
  } catch (const Error& error) {
    CHECK(error.code() == ErrorCode::kNoCompiler);
    return "";
  }
}

TEST_CASE("without a compiler, what was precompiled for Hopper serves Hopper") {
  CHECK(served("base", "sm_90", {9, 0}) == "sm_90");
  CHECK(served("base", "sm_90a", {9, 0}) == "sm_90a");
  CHECK(served("family", "sm_90a", {9, 0}) == "sm_90a");
  CHECK(served("specific", "sm_90a", {9, 0}) == "sm_90a");
  CHECK(served("base", "sm_80", {9, 0}).empty());
}

TEST_CASE("without a compiler, what was precompiled for one Blackwell serves its family") {
  if (!compiler_knows(testing::toolchain_at_hand().id.release, *Arch::parse("sm_103f"))) {
    SKIP("the NVRTC at hand is older than 12.9");
  }
  CHECK(served("base", "sm_100", {10, 0}) == "sm_100");
  CHECK(served("base", "sm_100", {10, 3}) == "sm_100");
  CHECK(served("base", "sm_100f", {10, 3}) == "sm_100f");
  CHECK(served("family", "sm_100f", {10, 3}) == "sm_100f");
  CHECK(served("family", "sm_103a", {10, 3}) == "sm_103a");
  CHECK(served("specific", "sm_100a", {10, 0}) == "sm_100a");
  CHECK(served("specific", "sm_100a", {10, 3}).empty());
  CHECK(served("base", "sm_120", {12, 1}) == "sm_120");
}

TEST_CASE("without a compiler, older minors serve their successors") {
  CHECK(served("base", "sm_80", {8, 9}) == "sm_80");
  CHECK(served("specific", "sm_86", {8, 9}) == "sm_86");
  CHECK(served("base", "sm_80", {8, 7}).empty());
}

TEST_CASE("a frozen Runtime serves what runs on its GPU, though its compiler would choose better") {
  Scene scene({FakeDevice{{8, 9}}});
  scene.use(0);
  Runtime(scene.options).precompile("tiny", tiny_constants(), {}, "sm_80");
  {
    scene.options.mode = Mode::kFrozen;
    Runtime runtime(scene.options);
    CHECK(runtime.get_kernel("tiny", tiny_constants()).info().arch == "sm_80");
  }
  scene.options.mode = Mode::kAuto;
  Runtime runtime(scene.options);
  CHECK_FALSE(runtime.try_get_kernel("tiny", tiny_constants()));
  CHECK(runtime.get_kernel("tiny", tiny_constants()).info().arch == "sm_89");
}

TEST_CASE("a compiler that was named and is newer than the driver is not run") {
  Scene scene;
  scene.use(0);
  const CompilerRelease release = testing::toolchain_at_hand().id.release;
  if (release.major == 12) SKIP("the NVRTC at hand is as old as the oldest driver that is taken");
  scene.options.nvrtc = testing::toolchain_at_hand().nvrtc;
  scene.fake.set_version(release.major * 1000 - 10);
  Runtime runtime(scene.options);
  const Error error = error_of([&] { runtime.get_kernel("tiny", tiny_constants()); });
  CHECK(error.code() == ErrorCode::kNoCompiler);
  CHECK(contains(error.what(), "compile tiny[SIZE=128"));
  CHECK(contains(error.what(), "nvrtc " + release.text() + " ("));
  CHECK(contains(error.what(), ") is newer than the driver, which takes CUDA "));
  CHECK(runtime.stats().compiles == 0);
  // For another machine it compiles, once.
  CHECK_FALSE(runtime.precompile("tiny", tiny_constants(), {}, "sm_90").hit);
  CHECK(Runtime(scene.options).precompile("tiny", tiny_constants(), {}, "sm_90").hit);
  // Here that is no use, and the log says which entry was passed over and why.
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kNoCompiler);
  const auto lines = scene.log.at(LogLevel::kInfo);
  CHECK(std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return contains(line, "newer_than_driver: made by nvrtc " + release.text());
  }));
}

}  // namespace
}  // namespace jit
