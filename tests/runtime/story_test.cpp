// The story of one call, with a driver made of nothing and the real NVRTC.
#include <cstring>

#include "load/device_memory.hpp"
#include "load/graph.hpp"
#include "runtime/process_fixture.hpp"
#include "runtime/runtime_fixture.hpp"
#include "support/paths.hpp"

namespace jit {
namespace {

using testing::contains;
using testing::error_of;
using testing::Scene;
using testing::tiny_constants;
using testing::TinyParams;

TEST_CASE("the first call compiles, loads and publishes; the next ones are the same kernel") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const Kernel kernel = runtime.get_kernel("tiny", tiny_constants(), {{"num_tokens", 3}});
  CHECK(runtime.get_kernel("tiny", tiny_constants(), {{"num_tokens", 60}}) == kernel);
  CHECK(runtime.get_kernel("tiny", tiny_constants()) == kernel);
  CHECK(runtime.get_kernel("tiny", {{"FLAG", true},
                                    {"SIZE", std::int64_t{128}},
                                    {"ELEMENT_TYPE_OF_INPUT", "i32"}}) == kernel);
  CHECK_FALSE(runtime.get_kernel("tiny", tiny_constants(), {{"num_tokens", 65}}) == kernel);
  const Stats stats = runtime.stats();
  CHECK(stats.compiles == 2);
  CHECK(stats.published == 2);
  CHECK(stats.disk_hits == 0);
  CHECK(scene.entries().size() == 2);
  CHECK(scene.log.warnings().empty());
  const KernelInfo& info = kernel.info();
  CHECK(info.name == "tiny");
  CHECK(contains(info.signature, "tiny[SIZE=128,"));
  CHECK(info.params_bytes == sizeof(TinyParams));
  CHECK(info.max_threads == 64);
  CHECK(info.registers > 0);
  CHECK(info.arch == "sm_90");
}

TEST_CASE("what is launched is what was asked for") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const Kernel kernel = runtime.get_kernel("tiny", tiny_constants());
  const TinyParams params{nullptr, 17, 2};
  kernel.launch(Dim3{4}, Dim3{64}, nullptr, params);
  const auto launches = scene.fake.launches();
  REQUIRE(launches.size() == 1);
  CHECK(launches[0].symbol == kernel.info().symbol);
  CHECK(launches[0].grid.x == 4);
  REQUIRE(launches[0].params.size() == sizeof params);
  CHECK(std::memcmp(launches[0].params.data(), &params, sizeof params) == 0);
  struct Larger {
    char bytes[24];
  };
  const Error error = error_of([&] { kernel.launch(Dim3{1}, Dim3{64}, nullptr, Larger{}); });
  CHECK(error.code() == ErrorCode::kInvalidArgument);
  CHECK(contains(error.what(), "24"));
  CHECK(contains(error.what(), "16"));
}

TEST_CASE("a second runtime finds the entry on disk and compiles nothing") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
  CHECK(runtime.stats().compiles == 0);
  CHECK(runtime.stats().disk_hits == 1);
}

// Run by the case below in a process of its own.
TEST_CASE("a process that hits the disk", "[.child]") {
  const testing::ChildScene scene;
  Runtime runtime(scene.options);
  CHECK(runtime.get_kernel("tiny", tiny_constants()));
  CHECK(runtime.stats().disk_hits == 1);
  CHECK_FALSE(contains(testing::read_text("/proc/self/maps"), "nvrtc"));
}

TEST_CASE("a new process with the entry on disk maps no compiler") {
  Scene scene;
  scene.use(0);
  { Runtime(scene.options).get_kernel("tiny", tiny_constants()); }
  CHECK(contains(testing::read_text("/proc/self/maps"), "nvrtc"));
  CHECK(testing::run_child_case("a process that hits the disk", scene.directory.path()) == 0);
}

TEST_CASE("a request that cannot be right compiles nothing") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const auto code = [&](std::vector<Constant> constants) {
    return error_of([&] { runtime.get_kernel("tiny", constants); }).code();
  };
  CHECK(code({{"SIZE", 12}}) == ErrorCode::kInvalidArgument);
  CHECK(code({{"SIZE", 8}, {"num_tokens", 17}}) == ErrorCode::kInvalidArgument);
  CHECK(error_of([&] { runtime.get_kernel("none", {}); }).code() == ErrorCode::kUnknownTemplate);
  CHECK(error_of([&] { runtime.prefetch("tiny", {}); }).code() == ErrorCode::kInvalidArgument);
  CHECK(error_of([&] { runtime.precompile("tiny", {}, {}, "sm_90a"); }).code() ==
        ErrorCode::kInvalidArgument);
  CHECK(contains(error_of([&] { runtime.precompile("tiny", tiny_constants(), {}, "90"); }).what(),
                 "is no architecture"));
  CHECK(runtime.stats().misses == 0);
}

TEST_CASE("a miss and a hit during a stream capture leave the capture whole") {
  Scene scene;
  scene.use(0);
  std::string why;
  const auto driver = Driver::open(testing::kFakeCudaPath, &why);
  REQUIRE(driver);
  driver->initialise();
  const StreamOwner stream(*driver);
  Runtime runtime(scene.options);
  StreamCapture capture(*driver, stream.get());
  const Kernel kernel = runtime.get_kernel("tiny", tiny_constants());
  kernel.launch(Dim3{1}, Dim3{64}, stream.get(), TinyParams{});
  CHECK(runtime.get_kernel("tiny", tiny_constants()) == kernel);
  CHECK(stream.is_capturing());
  CHECK(scene.fake.capture_mode() == 0);
  GraphExec graph = capture.finish();
  CHECK(scene.fake.launches().empty());
  graph.launch(stream.get());
  CHECK(scene.fake.launches().size() == 1);
}

TEST_CASE("debug information makes another kernel") {
  Scene scene;
  scene.use(0);
  Runtime runtime(scene.options);
  const Kernel plain = runtime.get_kernel("tiny", tiny_constants());
  const Kernel lines =
      runtime.get_kernel("tiny", tiny_constants(), {}, {.device = -1, .debug = Debug::kLineInfo});
  CHECK_FALSE(plain == lines);
  CHECK(scene.entries().size() == 2);
}

TEST_CASE("precompile needs no driver and reports what it did") {
  Scene scene;
  scene.options.driver = "/nowhere/libcuda.so";
  Runtime runtime(scene.options);
  const PrecompileReport made = runtime.precompile("tiny", tiny_constants(), {}, "sm_80");
  CHECK_FALSE(made.hit);
  CHECK(made.arch == "sm_80");
  CHECK(made.cubin_bytes > 0);
  CHECK(made.registers > 0);
  CHECK(made.compile_ms > 0);
  CHECK(made.key.size() == 64);
  CHECK(contains(made.signature, "@sm_80"));
  const PrecompileReport again = runtime.precompile("tiny", tiny_constants(), {}, "sm_80");
  CHECK(again.hit);
  CHECK(again.key == made.key);
  CHECK_FALSE(runtime.precompile("tiny", tiny_constants(), {}, "sm_90a").hit);
  CHECK(error_of([&] { runtime.get_kernel("tiny", tiny_constants()); }).code() ==
        ErrorCode::kNoDriver);
}

}  // namespace
}  // namespace jit
