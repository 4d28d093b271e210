// Owners of device memory, streams, events and contexts, for tools and tests.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "load/driver.hpp"

namespace jit::inline v1 {

// DeviceBuffer owns device memory of the context that is current when it is made.
//
// Errors: kDriver from every member that speaks to the driver. The Driver outlives the owner; this
// holds for all owners here. After process exit has begun an owner leaks what it holds.
class DeviceBuffer {
 public:
  DeviceBuffer() noexcept = default;
  DeviceBuffer(Driver& driver, std::size_t bytes);  // contents undefined; 0 bytes allocate nothing
  ~DeviceBuffer() { reset(); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;
  DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
  DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
    swap(other);
    return *this;
  }

  // Copies a host vector or span to new device memory; returns when it is there.
  template <class T>
  static DeviceBuffer of(Driver& driver, std::span<const T> values) {
    DeviceBuffer buffer(driver, values.size_bytes());
    buffer.upload(std::as_bytes(values));
    return buffer;
  }
  template <class T>
  std::vector<T> to_vector() const {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<T> values(bytes_ / sizeof(T));
    download(std::as_writable_bytes(std::span<T>(values)));
    return values;
  }

  // Synchronous copies. Errors: kInvalidArgument if the span is longer than the buffer.
  void upload(std::span<const std::byte> from);
  void download(std::span<std::byte> to) const;
  // Stream-ordered; they may be captured.
  void fill_async(std::uint8_t value, Stream stream);
  void copy_from_async(const DeviceBuffer& from, Stream stream);

  CudaDevicePointer address() const noexcept { return address_; }
  template <class T>
  T* as() const noexcept {
    // The driver hands device addresses out as integers.
    return reinterpret_cast<T*>(address_);  // NOLINT(performance-no-int-to-ptr)
  }
  std::size_t size_bytes() const noexcept { return bytes_; }

 private:
  void reset() noexcept;
  void require_room(std::size_t bytes, const char* action) const;
  void swap(DeviceBuffer& other) noexcept {
    std::swap(driver_, other.driver_);
    std::swap(address_, other.address_);
    std::swap(bytes_, other.bytes_);
  }
  Driver* driver_ = nullptr;
  CudaDevicePointer address_ = 0;
  std::size_t bytes_ = 0;
};

// StreamOwner owns a stream that does not wait for the legacy default stream.
class StreamOwner {
 public:
  explicit StreamOwner(Driver& driver);
  ~StreamOwner();
  StreamOwner(const StreamOwner&) = delete;
  StreamOwner& operator=(const StreamOwner&) = delete;
  Stream get() const noexcept { return stream_; }
  void synchronize() const;
  bool is_capturing() const;

 private:
  Driver& driver_;
  Stream stream_ = nullptr;
};

// Event owns a timing event.
class Event {
 public:
  explicit Event(Driver& driver);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  void record(Stream stream);
  void synchronize() const;
  // Units: milliseconds, resolution about 0.5 us. Requires: both events have completed.
  float elapsed_ms_since(const Event& start) const;

 private:
  Driver& driver_;
  CudaEvent event_ = nullptr;
};

// ContextOwner owns a context of its own on a device, current on no thread (see ContextScope).
class ContextOwner {
 public:
  ContextOwner(Driver& driver, int ordinal);
  ~ContextOwner();
  ContextOwner(const ContextOwner&) = delete;
  ContextOwner& operator=(const ContextOwner&) = delete;
  CudaContext get() const noexcept { return context_; }

 private:
  Driver& driver_;
  CudaContext context_ = nullptr;
};

// MemoryInfo is the current device's memory as the driver sees it now.
struct MemoryInfo {
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
};
MemoryInfo memory_info(Driver& driver);

// Waits for all work of the current context. Errors: kDriver, also for a kernel that failed.
void synchronize(Driver& driver);

}  // namespace jit::inline v1
