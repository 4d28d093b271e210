#include "runtime/devices.hpp"

#include "runtime/runtime_fixture.hpp"
#include "support/toolchain_at_hand.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::FakeDevice;
using testing::Scene;
using testing::tiny_constants;

TEST_CASE("one process holds GPUs of different architectures") {
  Scene scene({FakeDevice{{9, 0}}, FakeDevice{{8, 0}}, FakeDevice{{9, 0}}});
  Runtime runtime(scene.options);
  scene.use(0);
  const Kernel hopper = runtime.get_kernel("tiny", tiny_constants());
  scene.use(1);
  const Kernel ampere = runtime.get_kernel("tiny", tiny_constants());
  scene.use(2);
  CHECK(runtime.get_kernel("tiny", tiny_constants()) == hopper);
  CHECK(hopper.info().arch == "sm_90");
  CHECK(ampere.info().arch == "sm_80");
  CHECK(runtime.stats().compiles == 2);
}

TEST_CASE("a kernel for a device by ordinal is made for that device, whatever is current") {
  Scene scene({FakeDevice{{9, 0}}, FakeDevice{{8, 0}}});
  Runtime runtime(scene.options);
  scene.use(0);
  CHECK(runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 1}).info().arch == "sm_80");
  CHECK(runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 0}).info().arch == "sm_90");
  CHECK(runtime.get_kernel("tiny", tiny_constants()).info().arch == "sm_90");
  CHECK(scene.log.warnings().empty());
  CHECK(scene.quarantined() == 0);
}

TEST_CASE("a kernel on a wrong device is an error that names both, never a quarantine") {
  Scene scene({FakeDevice{{9, 0}}, FakeDevice{{8, 0}}});
  Runtime runtime(scene.options);
  scene.use(0);
  const Kernel kernel = runtime.get_kernel("tiny", tiny_constants());
  scene.use(1);
  const Error error =
      error_of([&] { kernel.launch(Dim3{1}, Dim3{64}, nullptr, testing::TinyParams{}); });
  CHECK(error.code() == ErrorCode::kUnsupportedArch);
  CHECK(contains(error.what(), "sm_90"));
  CHECK(contains(error.what(), "8.0"));
  CHECK(scene.quarantined() == 0);
}

TEST_CASE("without a current context GPUs that differ need an ordinal, equal ones do not") {
  {
    Scene scene({FakeDevice{{9, 0}}, FakeDevice{{8, 0}}});
    Runtime runtime(scene.options);
    CHECK(contains(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).what(),
                   "no CUDA context is current"));
    CHECK(runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 1}));
  }
  Scene scene({FakeDevice{}, FakeDevice{}});
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
}

TEST_CASE("an ordinal that is none is refused") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  CHECK(contains(
      error_of([&] { runtime.get_kernel("tiny", tiny_constants(), {}, {.device = 7}); }).what(),
      "no device 7; there are 1"));
}

TEST_CASE("a missing driver and a driver without devices are clear errors, each time") {
  Scene scene;
  scene.options.driver = "/nowhere/libcuda.so";
  Runtime without(scene.options);
  for (int i = 0; i < 2; ++i) {
    CHECK(error_of([&] { without.get_kernel("tiny", tiny_constants()); }).code() ==
          ErrorCode::kNoDriver);
  }
  Scene empty(std::vector<FakeDevice>{});
  Runtime none(empty.options);
  for (int i = 0; i < 2; ++i) {
    CHECK(error_of([&] { none.get_kernel("tiny", tiny_constants()); }).code() ==
          ErrorCode::kNoDriver);
  }
}

TEST_CASE("the newest GPU gets the newest target that the template asks for") {
  if (testing::toolchain_at_hand().id.release < CompilerRelease{12, 9}) {
    SKIP("the NVRTC at hand is older than 12.9");
  }
  Scene scene({FakeDevice{{10, 3}}});
  scene.use(0);
  testing::write_tiny(scene.directory, testing::with(testing::kTinyManifest, R"("constants": [)",
                                                     R"("target": "family", "constants": [)"));
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants()).info().arch == "sm_103f");
}

TEST_CASE("a GPU below the manifest's minimum is refused") {
  Scene scene({FakeDevice{{8, 0}}});
  scene.use(0);
  testing::write_tiny(scene.directory, testing::with(testing::kTinyManifest, R"("constants": [)",
                                                     R"("min_capability": "9.0", "constants": [)"));
  Runtime runtime(scene.options);
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kUnsupportedArch);
}

}  // namespace
}  // namespace jit
