// Times of graphs, by a device clock that is made up; and what NVML says meanwhile.
#include "load/device_timer.hpp"

#include <catch2/catch_approx.hpp>

#include "load/device_watch.hpp"
#include "load/load_fixture.hpp"
#include "support/paths.hpp"

namespace jit {
namespace {

using testing::FakeLaunch;
using testing::FakeMachine;
using testing::FakeParams;

// A launch takes a microsecond for each block.
class TimedMachine : public FakeMachine {
 public:
  TimedMachine() {
    use(0);
    fake.set_launch_us([](const FakeLaunch& launch) { return double(launch.grid.x); });
    loaded_ = load().kernel;
    REQUIRE(loaded_);
  }
  ~TimedMachine() { fake.set_launch_us(nullptr); }
  TimedMachine(const TimedMachine&) = delete;
  TimedMachine& operator=(const TimedMachine&) = delete;

  void launch(std::uint32_t blocks, Stream stream) const {
    loaded_->view().launch({blocks}, {32}, stream, FakeParams{});
  }

 private:
  std::unique_ptr<detail::LoadedKernel> loaded_;
};

TEST_CASE("a graph's time is that of its calls, without the run before it", "[timer]") {
  TimedMachine machine;
  const StreamOwner stream(machine.driver());
  std::vector<std::size_t> calls;
  const GraphExec graph = capture_calls(
      machine.driver(), stream,
      [&](std::size_t call) {
        calls.push_back(call);
        machine.launch(static_cast<std::uint32_t>(10 + call), stream.get());
      },
      3);
  CHECK(calls == std::vector<std::size_t>{0, 0, 1, 2});
  GraphTimer timer(machine.driver(), stream);
  const GraphTimer::Sample sample = timer.time(graph, true);
  CHECK(sample.us == Catch::Approx(10 + 11 + 12));
  CHECK(sample.spent_us == Catch::Approx(2 * (10 + 11 + 12)));
  CHECK(machine.fake.calls("cuMemsetD8Async") == 1);
  timer.time(graph, false);
  CHECK(machine.fake.calls("cuMemsetD8Async") == 1);
}

TEST_CASE("variants are timed in turn, per call", "[timer]") {
  TimedMachine machine;
  const StreamOwner stream(machine.driver());
  const auto variant = [&](std::uint32_t blocks) {
    return TimedVariant{
        [&machine, &stream, blocks](std::size_t) { machine.launch(blocks, stream.get()); }, 4,
        true};
  };
  const auto timings = time_variants(machine.driver(), stream, {variant(8), variant(5)}, 7);
  REQUIRE(timings.size() == 2);
  CHECK(timings[0].median_us == Catch::Approx(8));
  CHECK(timings[1].max_us == Catch::Approx(5));
}

TEST_CASE("another thread's allocation does not break a capture that is timed", "[timer]") {
  TimedMachine machine;
  const StreamOwner stream(machine.driver());
  CHECK_NOTHROW(capture_calls(
      machine.driver(), stream,
      [&](std::size_t) {
        const DeviceBuffer buffer(machine.driver(), 16);
        machine.launch(1, stream.get());
      },
      2));
}

TEST_CASE("clocks and what holds them down are seen", "[watch]") {
  FakeMachine machine({testing::kHopper, testing::kAmpere});
  machine.use(0);
  machine.driver().initialise();
  DeviceWatch watch(machine.driver(), 1, testing::kFakeCudaPath);
  CHECK(watch.seen().driver_version == "570.1.2");
  CHECK(watch.seen().clock_mhz_high == 0);
  machine.fake.set_clock_mhz(1980, 0x1);  // idle is no reason
  watch.look();
  CHECK(watch.seen().throttled.empty());
  machine.fake.set_clock_mhz(1500, 0x4);
  watch.look();
  machine.fake.set_clock_mhz(1700, 0x40);
  watch.look();
  machine.fake.set_clock_mhz(1980, 0);
  watch.look();
  CHECK(watch.seen().clock_mhz_low == 1500);
  CHECK(watch.seen().clock_mhz_high == 1980);
  CHECK(watch.seen().throttled == "software power cap, hardware thermal slowdown");
}

TEST_CASE("without NVML, or a device that it knows, nothing is seen", "[watch]") {
  FakeMachine machine;
  machine.use(0);
  machine.driver().initialise();
  DeviceWatch absent(machine.driver(), 0, "/nowhere/libnvidia-ml.so.1");
  absent.look();
  CHECK(absent.seen().clock_mhz_high == 0);
  CHECK(absent.seen().driver_version.empty());
  for (const char* call : {"nvmlInit_v2", "cuDeviceGetPCIBusId", "nvmlDeviceGetHandleByPciBusId_v2",
                           "nvmlDeviceGetClockInfo"}) {
    CAPTURE(call);
    machine.fake.fail(call, 999);
    DeviceWatch watch(machine.driver(), 0, testing::kFakeCudaPath);
    watch.look();
    CHECK(watch.seen().clock_mhz_high == 0);
  }
}

}  // namespace
}  // namespace jit
