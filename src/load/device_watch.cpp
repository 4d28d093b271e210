#include "load/device_watch.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace jit::inline v1 {
namespace {

constexpr const char* kDefaultName = "libnvidia-ml.so.1";
constexpr int kClockOfMultiprocessors = 1;  // NVML_CLOCK_SM

// NVML_CLOCKS_EVENT_REASON_*, less "idle" and what is no reason.
struct ThrottleReason {
  unsigned long long bit;
  std::string_view name;
};
constexpr std::array<ThrottleReason, 7> kReasons{{{0x02, "application clocks"},
                                                  {0x04, "software power cap"},
                                                  {0x08, "hardware slowdown"},
                                                  {0x10, "sync boost"},
                                                  {0x20, "software thermal slowdown"},
                                                  {0x40, "hardware thermal slowdown"},
                                                  {0x80, "hardware power brake"}}};

std::string names_of(unsigned long long reasons) {
  std::string names;
  for (const ThrottleReason& reason : kReasons) {
    if ((reasons & reason.bit) == 0) continue;
    if (!names.empty()) names += ", ";
    names += reason.name;
  }
  return names;
}

template <class Function>
void find(void* library, const char* symbol, Function*& function) {
  function = reinterpret_cast<Function*>(::dlsym(library, symbol));
}

// Where the device is on the bus; empty if the driver does not say.
std::string bus_id_of(Driver& driver, int ordinal) {
  CudaResult (*ask)(char*, int, CudaDevice) = nullptr;
  void* library = ::dlopen(driver.path().c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (library == nullptr) return {};
  find(library, "cuDeviceGetPCIBusId", ask);
  std::array<char, 64> text{};
  const bool known =
      ask != nullptr && ask(text.data(), static_cast<int>(text.size() - 1), ordinal) == 0;
  ::dlclose(library);
  return known ? std::string(text.data()) : std::string();
}

}  // namespace

// NVML's binary interface: every call returns 0 for success.
struct DeviceWatch::Nvml {
  using Device = struct NvmlDeviceTag*;

  explicit Nvml(const std::filesystem::path& path) {
    library = ::dlopen(path.empty() ? kDefaultName : path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    find(library, "nvmlInit_v2", init);
    find(library, "nvmlShutdown", shutdown);
    find(library, "nvmlDeviceGetHandleByPciBusId_v2", device_at);
    find(library, "nvmlDeviceGetClockInfo", clock);
    find(library, "nvmlDeviceGetCurrentClocksThrottleReasons", throttle_reasons);
    find(library, "nvmlSystemGetDriverVersion", driver_version);
    ready = init != nullptr && shutdown != nullptr && init() == 0;
  }
  ~Nvml() {
    if (ready) shutdown();
    if (library != nullptr) ::dlclose(library);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  void* library = nullptr;
  int (*init)() = nullptr;
  int (*shutdown)() = nullptr;
  int (*device_at)(const char* bus_id, Device* device) = nullptr;
  int (*clock)(Device device, int type, unsigned* mhz) = nullptr;
  int (*throttle_reasons)(Device device, unsigned long long* reasons) = nullptr;
  int (*driver_version)(char* text, unsigned length) = nullptr;
  bool ready = false;
  Device device = nullptr;
};

DeviceWatch::DeviceWatch(Driver& driver, int ordinal, const std::filesystem::path& library)
    : nvml_(std::make_unique<Nvml>(library)) {
  if (!nvml_->ready) {
    nvml_.reset();
    return;
  }
  std::array<char, 96> version{};
  if (nvml_->driver_version != nullptr &&
      nvml_->driver_version(version.data(), static_cast<unsigned>(version.size() - 1)) == 0) {
    seen_.driver_version = version.data();
  }
  const std::string bus_id = bus_id_of(driver, ordinal);
  const bool known = !bus_id.empty() && nvml_->device_at != nullptr &&
                     nvml_->device_at(bus_id.c_str(), &nvml_->device) == 0;
  if (!known) nvml_.reset();
}

DeviceWatch::~DeviceWatch() = default;

void DeviceWatch::look() {
  if (nvml_ == nullptr) return;
  unsigned mhz = 0;
  if (nvml_->clock != nullptr && nvml_->clock(nvml_->device, kClockOfMultiprocessors, &mhz) == 0 &&
      mhz != 0) {
    seen_.clock_mhz_high = std::max(seen_.clock_mhz_high, mhz);
    seen_.clock_mhz_low = seen_.clock_mhz_low == 0 ? mhz : std::min(seen_.clock_mhz_low, mhz);
  }
  unsigned long long reasons = 0;
  if (nvml_->throttle_reasons == nullptr || nvml_->throttle_reasons(nvml_->device, &reasons) != 0 ||
      (reasons | reasons_) == reasons_) {
    return;
  }
  reasons_ |= reasons;
  seen_.throttled = names_of(reasons_);
}

}  // namespace jit::inline v1
