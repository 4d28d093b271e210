// Driver: libcuda, reached through dlopen, and the devices it knows.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "jit/error.hpp"
#include "jit/tuning.hpp"
#include "load/cuda_api.hpp"
#include "signature/arch.hpp"

namespace jit::inline v1 {

// DeviceInfo is one GPU as the driver describes it.
struct DeviceInfo {
  int ordinal = 0;
  std::string name;
  ComputeCapability capability;
  std::uint64_t memory_bytes = 0;
  int sm_count = 0;
  std::uint32_t max_smem_bytes = 0;  // per block, with opt-in
  std::uint32_t l2_bytes = 0;
};

// The model of a GPU, which tuning records are for.
DeviceModel model_of(const DeviceInfo& device);

// Driver is the loaded libcuda. It is opened when first needed, initialised when first asked
// something (cuInit once), and never closed.
//
// Threads: every member may be called from any thread. Fork: no lock of its own is held while the
// driver is asked for a context, so that a child, which may have the Driver in hand at any moment,
// waits for nobody.
// Exit: once process exit has begun, check() callers and launches get kShuttingDown and no owner
// calls into libcuda any more; see process_is_exiting().
class Driver {
 public:
  // Opens `path`, or libcuda.so.1 when it is empty, and resolves every call in cuda_api.hpp.
  // Returns: null if there is none; `why` (may be null) then says what was tried and what to do: a
  //          missing library, a missing symbol with the driver that has it, a driver below 12.0.
  static std::unique_ptr<Driver> open(const std::filesystem::path& path, std::string* why);
  ~Driver() = default;
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // CUDA version of the driver: 13.0. Needs no device.
  CompilerRelease version() const noexcept { return version_; }
  const std::filesystem::path& path() const noexcept { return path_; }
  // The calls themselves. Requires: initialise() has been called, for all but version().
  const CudaApi& api() const noexcept { return api_; }

  // Calls cuInit and reads the devices, once; later calls cost one load.
  // Errors: kNoDriver with CUDA's own error and a remedy, the same each time; kShuttingDown.
  void initialise();

  // Every device, by ordinal. Errors: as initialise.
  std::span<const DeviceInfo> devices();
  const DeviceInfo& device(int ordinal);  // Errors: kInvalidArgument, with the devices there are
  // Ordinal of the current context's device; nullopt if no context is current. Cost: one call.
  std::optional<int> current_device();

  // The calling thread's context, or nullptr. Requires: initialise() has succeeded.
  CudaContext current_context() const noexcept {
    CudaContext context = nullptr;
    return api_.context_current(&context) == kCudaSuccess ? context : nullptr;
  }

  // True if a stream that the legacy or this thread's default stream would wait for is being
  // captured; captures of non-blocking streams are not seen. Requires: initialise() has succeeded.
  bool is_capturing() const noexcept;

  // Makes the primary context of device 0 current if this thread has none, as CUDA's runtime does;
  // returns the current context's device. Errors: as initialise; kDriver.
  int ensure_context();
  // The primary context of a device, retained for good. Threads that need it first at the same time
  // each retain it. Errors: kDriver.
  CudaContext primary_context(int ordinal);

  // Throws Error(kDriver, "<action>: <call>: CUDA_ERROR_... (...)") unless `result` is success.
  void check(CudaResult result, std::string_view action, const char* call) const {
    if (result != kCudaSuccess) fail(result, action, call);
  }
  [[noreturn]] void fail(CudaResult result, std::string_view action, const char* call) const;
  // "CUDA_ERROR_INVALID_VALUE (invalid argument)"
  std::string describe(CudaResult result) const;

 private:
  Driver() = default;
  void initialise_slowly();
  void read_devices();

  CudaApi api_;
  CompilerRelease version_;
  std::filesystem::path path_;
  std::once_flag once_;
  std::atomic<bool> ready_{false};
  std::string init_error_;
  std::vector<DeviceInfo> devices_;
  std::vector<std::atomic<CudaContext>> primary_;
};

// True once exit() has begun or main has returned. Owners of driver handles then leak them: the
// driver may already be gone. Known from the first Driver on.
bool process_is_exiting() noexcept;

// ContextScope makes a context current on this thread and puts the former one back.
class ContextScope {
 public:
  // Errors: kDriver.
  ContextScope(Driver& driver, CudaContext context);
  ~ContextScope();
  ContextScope(const ContextScope&) = delete;
  ContextScope& operator=(const ContextScope&) = delete;

 private:
  Driver& driver_;
};

// RelaxedCapture lets this thread load code and allocate while it captures a stream: neither breaks
// nor enters the capture. The thread's own mode returns at the end of the scope.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(Driver& driver) noexcept;
  ~RelaxedCapture();
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  Driver& driver_;
  CudaCaptureMode former_ = kCudaCaptureRelaxed;
  bool exchanged_ = false;
};

}  // namespace jit::inline v1
