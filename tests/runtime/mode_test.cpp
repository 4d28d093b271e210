#include "runtime/runtime_fixture.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::Scene;
using testing::tiny_constants;

TEST_CASE("a read-only runtime serves and compiles, and writes nothing") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants(8)); }
  scene.options.mode = Mode::kReadOnly;
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants(8)));
  CHECK(runtime.get_kernel("tiny", tiny_constants(16)));
  CHECK(runtime.stats().disk_hits == 1);
  CHECK(runtime.stats().compiles == 1);
  CHECK(runtime.stats().published == 0);
  CHECK(scene.entries().size() == 1);
  CHECK(scene.log.warnings().empty());
  CHECK(error_of([&] { runtime.precompile("tiny", tiny_constants(24), {}, "sm_90"); }).code() ==
        ErrorCode::kIo);
}

TEST_CASE("a read-only runtime without a cache directory makes none") {
  Scene scene;
  scene.use(0);
  scene.options.mode = Mode::kReadOnly;
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
  CHECK_FALSE(std::filesystem::exists(scene.options.cache_dir));
}

TEST_CASE("a runtime in memory only touches no disk") {
  Scene scene;
  scene.use(0);
  scene.options.memory_only = true;
  Runtime runtime(scene.options);
  const Kernel kernel = runtime.get_kernel("tiny", tiny_constants());
  CHECK(runtime.get_kernel("tiny", tiny_constants()) == kernel);
  CHECK(runtime.stats().compiles == 1);
  CHECK_FALSE(std::filesystem::exists(scene.options.cache_dir));
}

TEST_CASE("where no compiler is found an entry of any release answers, and a miss says so") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants(8)); }
  scene.options.nvrtc = "/nowhere";
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants(8)));
  const Error error = error_of([&] { runtime.get_kernel("tiny", tiny_constants(16)); });
  CHECK(error.code() == ErrorCode::kNoCompiler);
  CHECK(contains(error.what(), "/nowhere"));
  CHECK(contains(error.what(), "CUBINET_NVRTC"));
}

TEST_CASE("templates added later hide others, and used ones stay") {
  Scene scene;
  scene.use(0);
  const testing::TemporaryDirectory other;
  testing::write_tiny(other, testing::with(testing::kTinyManifest, "writes its", "prints its"));
  Runtime runtime(scene.options);
  runtime.add_templates(other / "templates");
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
  CHECK(error_of([&] { runtime.add_templates(other / "templates"); }).code() ==
        ErrorCode::kInvalidArgument);
}

TEST_CASE("a changed template is another kernel, also in the same cache") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  testing::write_tiny(scene.directory, testing::kTinyManifest,
                      testing::with(testing::kTinyBody, "3.0f", "4.0f"));
  Runtime runtime(scene.options);
  runtime.get_kernel("tiny", tiny_constants());
  CHECK(runtime.stats().compiles == 1);
  CHECK(scene.entries().size() == 2);
}

}  // namespace
}  // namespace jit
