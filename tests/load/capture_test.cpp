#include <catch2/catch_test_macros.hpp>
#include <string>

#include "load/device_memory.hpp"
#include "load/graph.hpp"
#include "load/load_fixture.hpp"

namespace jit {
namespace {

using testing::FakeMachine;
using testing::FakeParams;

TEST_CASE("loading and first launches inside a capture leave it whole") {
  FakeMachine machine({testing::kHopper, testing::kHopper});
  machine.use(0);
  const StreamOwner stream(machine.driver());
  LoadResult loaded;
  GraphExec graph;
  {
    StreamCapture capture(machine.driver(), stream.get());
    loaded = machine.load();
    REQUIRE(loaded.outcome == LoadOutcome::kLoaded);
    const Kernel kernel = loaded.kernel->view();
    kernel.launch({.grid = 1, .block = 32, .stream = stream.get(), .smem_bytes = 100'000},
                  FakeParams{});
    {
      const ContextOwner own(machine.driver(), 1);
      const ContextScope scope(machine.driver(), own.get());
      kernel.prepare();
    }
    CHECK(stream.is_capturing());
    CHECK(machine.fake.capture_mode() == kCudaCaptureGlobal);
    graph = capture.finish();
  }
  CHECK(machine.fake.launches().empty());
  graph.launch(stream.get());
  graph.launch(stream.get());
  CHECK(machine.fake.launches().size() == 2);
}

TEST_CASE("the capture mode returns after failures too") {
  FakeMachine machine;
  machine.use(0);
  const StreamOwner stream(machine.driver());
  StreamCapture capture(machine.driver(), stream.get());
  for (const std::string call :
       {"cuLibraryLoadData", "cuLibraryGetKernel", "cuKernelGetFunction", "cuFuncGetAttribute"}) {
    CAPTURE(call);
    machine.fake.fail(call, 2);
    CHECK(machine.load().outcome == LoadOutcome::kFailed);
    CHECK(machine.fake.capture_mode() == kCudaCaptureGlobal);
    CHECK(machine.fake.libraries() == 0);
  }
  const LoadResult loaded = machine.load();
  machine.fake.fail("cuFuncSetAttribute", 2);
  CHECK_THROWS_AS(
      loaded.kernel->view().launch(
          {.grid = 1, .block = 32, .stream = stream.get(), .smem_bytes = 100'000}, FakeParams{}),
      Error);
  CHECK(machine.fake.capture_mode() == kCudaCaptureGlobal);
  CHECK_NOTHROW(capture.finish());
}

TEST_CASE("the fake driver does break a capture that is not relaxed") {
  FakeMachine machine;
  machine.use(0);
  const StreamOwner stream(machine.driver());
  StreamCapture capture(machine.driver(), stream.get());
  CHECK_THROWS_AS(DeviceBuffer(machine.driver(), 16), Error);
  CHECK_THROWS_AS(capture.finish(), Error);
}

TEST_CASE("an abandoned capture is ended") {
  FakeMachine machine;
  machine.use(0);
  const StreamOwner stream(machine.driver());
  { const StreamCapture capture(machine.driver(), stream.get()); }
  CHECK_FALSE(stream.is_capturing());
}

}  // namespace
}  // namespace jit
