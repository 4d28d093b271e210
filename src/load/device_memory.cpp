#include "load/device_memory.hpp"

#include <fmt/format.h>

namespace jit::inline v1 {
namespace {

constexpr unsigned kNonBlockingStream = 1;  // CU_STREAM_NON_BLOCKING

}  // namespace

DeviceBuffer::DeviceBuffer(Driver& driver, std::size_t bytes) : driver_(&driver), bytes_(bytes) {
  driver.initialise();
  if (bytes == 0) return;
  driver.check(driver.api().memory_alloc(&address_, bytes),
               fmt::format("allocate {} bytes on the device", bytes), "cuMemAlloc");
}

void DeviceBuffer::reset() noexcept {
  if (address_ != 0 && !process_is_exiting()) driver_->api().memory_free(address_);
  address_ = 0;
  bytes_ = 0;
}

void DeviceBuffer::require_room(std::size_t bytes, const char* action) const {
  if (bytes <= bytes_) return;
  throw Error(ErrorCode::kInvalidArgument,
              fmt::format("{}: {} bytes for a buffer of {}", action, bytes, bytes_));
}

void DeviceBuffer::upload(std::span<const std::byte> from) {
  require_room(from.size(), "upload");
  if (from.empty()) return;
  driver_->check(driver_->api().copy_to_device(address_, from.data(), from.size()), "upload",
                 "cuMemcpyHtoD");
}

void DeviceBuffer::download(std::span<std::byte> to) const {
  require_room(to.size(), "download");
  if (to.empty()) return;
  driver_->check(driver_->api().copy_to_host(to.data(), address_, to.size()), "download",
                 "cuMemcpyDtoH");
}

void DeviceBuffer::fill_async(std::uint8_t value, Stream stream) {
  if (bytes_ == 0) return;
  driver_->check(driver_->api().set_async(address_, value, bytes_, stream), "fill buffer",
                 "cuMemsetD8Async");
}

void DeviceBuffer::copy_from_async(const DeviceBuffer& from, Stream stream) {
  require_room(from.bytes_, "copy buffer");
  if (from.bytes_ == 0) return;
  driver_->check(driver_->api().copy_async(address_, from.address_, from.bytes_, stream),
                 "copy buffer", "cuMemcpyDtoDAsync");
}

StreamOwner::StreamOwner(Driver& driver) : driver_(driver) {
  driver.initialise();
  driver.check(driver.api().stream_create(&stream_, kNonBlockingStream), "make stream",
               "cuStreamCreate");
}

StreamOwner::~StreamOwner() {
  if (!process_is_exiting()) driver_.api().stream_destroy(stream_);
}

void StreamOwner::synchronize() const {
  driver_.check(driver_.api().stream_synchronize(stream_), "synchronize stream",
                "cuStreamSynchronize");
}

bool StreamOwner::is_capturing() const {
  CudaCaptureStatus status = kCudaCaptureNone;
  driver_.check(driver_.api().stream_is_capturing(stream_, &status), "ask stream",
                "cuStreamIsCapturing");
  return status != kCudaCaptureNone;
}

Event::Event(Driver& driver) : driver_(driver) {
  driver.initialise();
  driver.check(driver.api().event_create(&event_, 0), "make event", "cuEventCreate");
}

Event::~Event() {
  if (!process_is_exiting()) driver_.api().event_destroy(event_);
}

void Event::record(Stream stream) {
  driver_.check(driver_.api().event_record(event_, stream), "record event", "cuEventRecord");
}

void Event::synchronize() const {
  driver_.check(driver_.api().event_synchronize(event_), "wait for event", "cuEventSynchronize");
}

float Event::elapsed_ms_since(const Event& start) const {
  float milliseconds = 0;
  driver_.check(driver_.api().event_elapsed(&milliseconds, start.event_, event_), "read event time",
                "cuEventElapsedTime");
  return milliseconds;
}

ContextOwner::ContextOwner(Driver& driver, int ordinal) : driver_(driver) {
  const DeviceInfo& device = driver.device(ordinal);
  driver.check(driver.api().context_create(&context_, 0, device.ordinal),
               fmt::format("make a context on device {}", ordinal), "cuCtxCreate");
  CudaContext popped = nullptr;
  driver.check(driver.api().context_pop(&popped), "make a context", "cuCtxPopCurrent");
}

ContextOwner::~ContextOwner() {
  if (!process_is_exiting()) driver_.api().context_destroy(context_);
}

MemoryInfo memory_info(Driver& driver) {
  driver.initialise();
  MemoryInfo info;
  driver.check(driver.api().memory_info(&info.free_bytes, &info.total_bytes), "read free memory",
               "cuMemGetInfo");
  return info;
}

void synchronize(Driver& driver) {
  driver.initialise();
  driver.check(driver.api().context_synchronize(), "synchronize context", "cuCtxSynchronize");
}

}  // namespace jit::inline v1
