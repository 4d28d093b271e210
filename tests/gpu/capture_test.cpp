// Stream capture, in the strictest mode: launches are recorded, and a kernel that is new in the
// middle of a capture neither breaks nor enters it.
#include <catch2/catch_test_macros.hpp>
#include <thread>

#include "gpu/runtime_fixture.hpp"
#include "load/graph.hpp"

namespace jit::test {
namespace {

TEST_CASE("a launch is captured and replayed", "[runtime][capture]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(2);
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  StreamCapture capture(fixture.gpu(), stream.get());
  values.add_with(kernel, stream.get());
  values.add_with(kernel, stream.get());
  const GraphExec graph = capture.finish();
  CHECK(values.all_are(0));
  for (int i = 0; i < 3; ++i) graph.launch(stream.get());
  stream.synchronize();
  CHECK(values.all_are(12));
}

TEST_CASE("a kernel is compiled and loaded in the middle of this thread's capture",
          "[runtime][capture]") {
  RuntimeFixture fixture;
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  for (const CudaCaptureMode mode : {kCudaCaptureGlobal, kCudaCaptureThreadLocal}) {
    StreamCapture capture(fixture.gpu(), stream.get(), mode);
    values.add_with(fixture.add(10 + mode), stream.get());
    CHECK(stream.is_capturing());
    const GraphExec graph = capture.finish();
    graph.launch(stream.get());
    stream.synchronize();
  }
  CHECK(fixture.runtime().stats().compiles == 2);
  CHECK(values.all_are(21));
}

TEST_CASE("a kernel is loaded from disk in the middle of this thread's capture",
          "[runtime][capture]") {
  RuntimeFixture fixture;
  fixture.add(12);
  Runtime restarted(options_for(fixture.cache()));
  restarted.add_templates(fixture.templates());
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  StreamCapture capture(fixture.gpu(), stream.get());
  values.add_with(restarted.get_kernel("add", {{"AMOUNT", 12}}), stream.get());
  const GraphExec graph = capture.finish();
  graph.launch(stream.get());
  stream.synchronize();
  CHECK(values.all_are(12));
  CHECK(restarted.stats().disk_hits == 1);
  CHECK(restarted.stats().compiles == 0);
}

TEST_CASE("another thread's capture does not mind a kernel that is compiled and launched meanwhile",
          "[runtime][capture]") {
  RuntimeFixture fixture;
  const Kernel known = fixture.add(1);
  const Values captured(fixture.gpu());
  const Values direct(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  const StreamOwner other(fixture.gpu());
  StreamCapture capture(fixture.gpu(), stream.get());
  captured.add_with(known, stream.get());
  std::string failure;
  std::thread([&] {
    try {
      driver();
      direct.add_with(fixture.add(13), other.get());
    } catch (const std::exception& error) {
      failure = error.what();
    }
  }).join();
  CHECK(failure == "");
  captured.add_with(known, stream.get());
  const GraphExec graph = capture.finish();
  graph.launch(stream.get());
  stream.synchronize();
  other.synchronize();
  CHECK(captured.all_are(2));
  CHECK(direct.all_are(13));
}

TEST_CASE("large shared memory is allowed in the middle of a capture", "[runtime][capture]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.runtime().get_kernel("shared_reach", {});
  constexpr std::uint32_t kWords = 20'000;  // 80 KB
  const auto sums =
      DeviceBuffer::of<std::uint32_t>(fixture.gpu(), std::vector<std::uint32_t>(2, 0));
  synchronize(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  StreamCapture capture(fixture.gpu(), stream.get());
  kernel.launch({.grid = {2}, .block = {128}, .stream = stream.get(), .smem_bytes = kWords * 4},
                SharedParams{sums.as<std::uint32_t>(), kWords, 0});
  const GraphExec graph = capture.finish();
  graph.launch(stream.get());
  stream.synchronize();
  const std::uint32_t first = kWords / 2 * (kWords - 1);
  CHECK(sums.to_vector<std::uint32_t>() == std::vector<std::uint32_t>{first, first + kWords});
}

TEST_CASE("a refused launch leaves the capture as it is", "[runtime][capture]") {
  RuntimeFixture fixture;
  const Kernel kernel = fixture.add(14);
  const Values values(fixture.gpu());
  const StreamOwner stream(fixture.gpu());
  StreamCapture capture(fixture.gpu(), stream.get());
  CHECK_THROWS_AS(kernel.launch({4}, {2048}, stream.get(), values.params()), Error);
  CHECK_THROWS_AS(fixture.add(100'000), Error);
  values.add_with(kernel, stream.get());
  const GraphExec graph = capture.finish();
  graph.launch(stream.get());
  stream.synchronize();
  CHECK(values.all_are(14));
}

}  // namespace
}  // namespace jit::test
