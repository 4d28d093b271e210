#include "load/driver.hpp"

#include <dlfcn.h>
#include <fmt/format.h>

#include <array>
#include <cstdlib>
#include <utility>

namespace jit::inline v1 {
namespace {

constexpr int kOldestDriver = 12'000;
constexpr const char* kDefaultName = "libcuda.so.1";

struct LibraryCloser {
  void operator()(void* handle) const noexcept { ::dlclose(handle); }
};
using LibraryHandle = std::unique_ptr<void, LibraryCloser>;

std::atomic<bool> exiting{false};

// Runs before what libcuda has registered by then, and before destructors of statics older than it.
void watch_exit() {
  std::atexit([] { exiting.store(true, std::memory_order_relaxed); });
}

std::string remedy_of(CudaResult result) {
  switch (result) {
    case kCudaStubLibrary:
      return "this is the toolkit's stub; install the NVIDIA driver and take the stub's directory "
             "out of the library path";
    case kCudaNoDevice:
      return "check nvidia-smi, CUDA_VISIBLE_DEVICES and the container's GPU settings";
    case kCudaSystemDriverMismatch:
    case kCudaCompatNotSupported:
      return "the kernel module and the user-space driver differ; reboot or reinstall the driver";
    case kCudaNotInitialized: return "CUDA does not survive fork(); start the child with exec";
    default: return "check nvidia-smi";
  }
}

void explain(std::string* why, std::string text) {
  if (why != nullptr) *why = std::move(text);
}

}  // namespace

DeviceModel model_of(const DeviceInfo& device) {
  constexpr std::uint64_t kGib = std::uint64_t{1} << 30;
  return {device.name, static_cast<std::uint32_t>(device.sm_count),
          static_cast<std::uint32_t>((device.memory_bytes + kGib / 2) / kGib)};
}

bool process_is_exiting() noexcept { return exiting.load(std::memory_order_relaxed); }

std::unique_ptr<Driver> Driver::open(const std::filesystem::path& path, std::string* why) {
  const std::string name = path.empty() ? kDefaultName : path.native();
  LibraryHandle library(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!library) {
    const char* reason = ::dlerror();
    explain(why, fmt::format("open driver: {}; install the NVIDIA driver (CUDA 12.0 or newer), or "
                             "set CUBINET_DRIVER",
                             reason != nullptr ? reason : name));
    return nullptr;
  }
  std::unique_ptr<Driver> driver(new Driver);
  driver->path_ = name;
  const char* missing = nullptr;
  const auto resolve = [&](const char* symbol) {
    void* address = ::dlsym(library.get(), symbol);
    if (address == nullptr && missing == nullptr) missing = symbol;
    return address;
  };
#define JIT_CUDA_RESOLVE(member, symbol, ...) \
  driver->api_.member = reinterpret_cast<decltype(driver->api_.member)>(resolve(symbol));
  JIT_CUDA_CALLS(JIT_CUDA_RESOLVE)
#undef JIT_CUDA_RESOLVE

  if (driver->api_.init == nullptr || driver->api_.driver_version == nullptr) {
    explain(why,
            fmt::format("open driver {}: it has no {}; is it the CUDA driver?", name, missing));
    return nullptr;
  }
  int version = 0;
  driver->api_.driver_version(&version);
  driver->version_ = {static_cast<std::uint16_t>(version / 1000),
                      static_cast<std::uint16_t>(version % 1000 / 10)};
  if (missing != nullptr || version < kOldestDriver) {
    const std::string lack =
        missing != nullptr ? fmt::format("it has no {}", missing) : std::string("it is too old");
    explain(why, fmt::format("open driver {}: {} (it is for CUDA {}.{}); install a driver for CUDA "
                             "12.0 or newer (525.60 or newer)",
                             name, lack, driver->version_.major, driver->version_.minor));
    return nullptr;
  }
  static const bool watched = (watch_exit(), true);
  static_cast<void>(watched);
  // From here on it stays: the driver has threads and exit handlers of its own.
  static_cast<void>(library.release());
  return driver;
}

void Driver::initialise() {
  if (!ready_.load(std::memory_order_acquire)) initialise_slowly();
}

void Driver::initialise_slowly() {
  if (process_is_exiting()) {
    throw Error(ErrorCode::kShuttingDown, "initialise driver: process exit has begun");
  }
  std::call_once(once_, [this] {
    const CudaResult result = api_.init(0);
    if (result != kCudaSuccess) {
      init_error_ = fmt::format("initialise driver {}: cuInit: {}; {}", path_.native(),
                                describe(result), remedy_of(result));
      return;
    }
    // Again, because cuInit registers more with exit().
    watch_exit();
    try {
      read_devices();
    } catch (const Error& error) {
      init_error_ = error.what();
      return;
    }
    ready_.store(true, std::memory_order_release);
  });
  if (!ready_.load(std::memory_order_acquire)) throw Error(ErrorCode::kNoDriver, init_error_);
}

void Driver::read_devices() {
  constexpr const char* kAction = "read devices";
  int count = 0;
  check(api_.device_count(&count), kAction, "cuDeviceGetCount");
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    CudaDevice device = 0;
    check(api_.device_get(&device, ordinal), kAction, "cuDeviceGet");
    const auto attribute = [&](int which) {
      int value = 0;
      check(api_.device_attribute(&value, which, device), kAction, "cuDeviceGetAttribute");
      return value;
    };
    DeviceInfo info;
    info.ordinal = ordinal;
    std::array<char, 256> name{};
    check(api_.device_name(name.data(), static_cast<int>(name.size() - 1), device), kAction,
          "cuDeviceGetName");
    info.name = name.data();
    info.capability = {attribute(kCudaDeviceCapabilityMajor),
                       attribute(kCudaDeviceCapabilityMinor)};
    std::size_t bytes = 0;
    check(api_.device_memory(&bytes, device), kAction, "cuDeviceTotalMem");
    info.memory_bytes = bytes;
    info.sm_count = attribute(kCudaDeviceSmCount);
    info.max_smem_bytes = static_cast<std::uint32_t>(attribute(kCudaDeviceMaxSmemOptin));
    info.l2_bytes = static_cast<std::uint32_t>(attribute(kCudaDeviceL2Bytes));
    devices_.push_back(std::move(info));
  }
  primary_ = std::vector<std::atomic<CudaContext>>(devices_.size());
}

std::span<const DeviceInfo> Driver::devices() {
  initialise();
  return devices_;
}

const DeviceInfo& Driver::device(int ordinal) {
  initialise();
  if (ordinal < 0 || static_cast<std::size_t>(ordinal) >= devices_.size()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("find device {}: there are {} devices, numbered from 0", ordinal,
                            devices_.size()));
  }
  return devices_[static_cast<std::size_t>(ordinal)];
}

std::optional<int> Driver::current_device() {
  initialise();
  CudaDevice device = 0;
  if (api_.context_device(&device) != kCudaSuccess) return std::nullopt;
  return device;
}

bool Driver::is_capturing() const noexcept {
  const auto per_thread = reinterpret_cast<Stream>(kCudaPerThreadStream);
  CudaCaptureStatus status = kCudaCaptureNone;
  // The legacy stream itself cannot be captured: for others' sake the call fails.
  if (api_.stream_is_capturing(nullptr, &status) == kCudaCaptureImplicit) return true;
  return api_.stream_is_capturing(per_thread, &status) == kCudaSuccess &&
         status != kCudaCaptureNone;
}

int Driver::ensure_context() {
  if (const auto device = current_device()) return *device;
  check(api_.context_set(primary_context(0)), "use device 0", "cuCtxSetCurrent");
  return 0;
}

CudaContext Driver::primary_context(int ordinal) {
  const DeviceInfo& info = device(ordinal);
  std::atomic<CudaContext>& known = primary_[static_cast<std::size_t>(info.ordinal)];
  CudaContext context = known.load(std::memory_order_acquire);
  if (context == nullptr) {
    check(api_.primary_retain(&context, info.ordinal), fmt::format("use device {}", ordinal),
          "cuDevicePrimaryCtxRetain");
    known.store(context, std::memory_order_release);  // there is one, whoever retains it
  }
  return context;
}

std::string Driver::describe(CudaResult result) const {
  const char* name = nullptr;
  const char* text = nullptr;
  api_.error_name(result, &name);
  api_.error_string(result, &text);
  if (name == nullptr) return fmt::format("CUDA error {}", result);
  return text == nullptr ? std::string(name) : fmt::format("{} ({})", name, text);
}

void Driver::fail(CudaResult result, std::string_view action, const char* call) const {
  if (process_is_exiting()) {
    throw Error(ErrorCode::kShuttingDown, fmt::format("{}: process exit has begun", action));
  }
  throw Error(ErrorCode::kDriver, fmt::format("{}: {}: {}", action, call, describe(result)));
}

ContextScope::ContextScope(Driver& driver, CudaContext context) : driver_(driver) {
  driver_.check(driver_.api().context_push(context), "use context", "cuCtxPushCurrent");
}

ContextScope::~ContextScope() {
  CudaContext popped = nullptr;
  if (!process_is_exiting()) driver_.api().context_pop(&popped);
}

RelaxedCapture::RelaxedCapture(Driver& driver) noexcept : driver_(driver) {
  exchanged_ = driver_.api().exchange_capture_mode(&former_) == kCudaSuccess;
}

RelaxedCapture::~RelaxedCapture() {
  if (exchanged_ && !process_is_exiting()) driver_.api().exchange_capture_mode(&former_);
}

}  // namespace jit::inline v1
