// DeviceWatch: clocks of a GPU, and what holds them down, while something is timed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "load/driver.hpp"

namespace jit::inline v1 {

// What was seen of a device. Where NVML does not say, numbers are 0 and texts empty.
struct DeviceSights {
  std::uint32_t clock_mhz_low = 0;  // of the multiprocessors
  std::uint32_t clock_mhz_high = 0;
  std::string throttled;       // "software power cap, hardware slowdown"; empty: nothing was
  std::string driver_version;  // "580.159.04"
};

// DeviceWatch asks NVML, which it opens with dlopen. Where there is none, or it does not know the
// device (as in some containers and virtual machines), nothing is seen; that is never an error.
//
// Threads: one at a time.
class DeviceWatch {
 public:
  // Opens `library`, or libnvidia-ml.so.1 where it is empty, and finds the device by its place on
  // the bus: NVML numbers devices in another way than CUDA.
  DeviceWatch(Driver& driver, int ordinal, const std::filesystem::path& library = {});
  ~DeviceWatch();
  DeviceWatch(const DeviceWatch&) = delete;
  DeviceWatch& operator=(const DeviceWatch&) = delete;

  // Looks once. Cost: some microseconds to some milliseconds, by the driver.
  void look();
  const DeviceSights& seen() const noexcept { return seen_; }

 private:
  struct Nvml;
  std::unique_ptr<Nvml> nvml_;  // null where there is nothing to ask
  unsigned long long reasons_ = 0;
  DeviceSights seen_;
};

}  // namespace jit::inline v1
