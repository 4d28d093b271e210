#include "load/device_memory.hpp"

#include <catch2/catch_test_macros.hpp>
#include <span>
#include <utility>
#include <vector>

#include "load/load_fixture.hpp"

namespace jit {
namespace {

using testing::FakeMachine;

TEST_CASE("buffers carry bytes there and back and are freed") {
  FakeMachine machine;
  machine.use(0);
  {
    const std::vector<float> values{1, 2, 3};
    DeviceBuffer buffer = DeviceBuffer::of<float>(machine.driver(), values);
    CHECK(buffer.size_bytes() == 12);
    CHECK(buffer.to_vector<float>() == values);
    CHECK(reinterpret_cast<CudaDevicePointer>(buffer.as<float>()) == buffer.address());
    DeviceBuffer copy(machine.driver(), 12);
    copy.copy_from_async(buffer, nullptr);
    CHECK(copy.to_vector<float>() == values);
    buffer.fill_async(0, nullptr);
    CHECK(buffer.to_vector<float>() == std::vector<float>(3));
    const DeviceBuffer moved = std::move(buffer);
    CHECK(machine.fake.live_allocations() == 2);
    const std::vector<float> longer(4);
    CHECK_THROWS_AS(copy.upload(std::as_bytes(std::span(longer))), Error);
    const DeviceBuffer empty(machine.driver(), 0);
    CHECK(empty.to_vector<float>().empty());
  }
  CHECK(machine.fake.live_allocations() == 0);
}

TEST_CASE("events measure, contexts are current nowhere, memory is told") {
  FakeMachine machine;
  machine.use(0);
  const StreamOwner stream(machine.driver());
  Event start(machine.driver());
  Event end(machine.driver());
  start.record(stream.get());
  end.record(stream.get());
  end.synchronize();
  stream.synchronize();
  CHECK(end.elapsed_ms_since(start) >= 0);
  const ContextOwner own(machine.driver(), 0);
  CudaContext current = nullptr;
  machine.driver().api().context_current(&current);
  CHECK(current != own.get());
  CHECK(memory_info(machine.driver()).free_bytes > 0);
  CHECK_NOTHROW(synchronize(machine.driver()));
}

}  // namespace
}  // namespace jit
