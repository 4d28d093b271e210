// The calls of NVML that src/load/device_watch.cpp makes, in the fake driver's library.
#include <cstdlib>
#include <cstring>
#include <string>

#include "support/fake_calls.hpp"

// NOLINTBEGIN: names and parameter lists are the driver's.
using namespace jit;
using namespace jit::testing;

FAKE_CALL cuDeviceGetPCIBusId(char* text, int length, CudaDevice device) {
  FAKE_ENTER;
  const std::string id = "00000000:0" + std::to_string(device) + ":00.0";
  if (static_cast<std::size_t>(length) <= id.size()) return 1;
  std::memcpy(text, id.c_str(), id.size() + 1);
  return 0;
}
FAKE_CALL nvmlInit_v2() {
  FAKE_ENTER;
  return 0;
}
FAKE_CALL nvmlShutdown() {
  FAKE_ENTER;
  return 0;
}
FAKE_CALL nvmlDeviceGetHandleByPciBusId_v2(const char* text, void** device) {
  FAKE_ENTER;
  const std::size_t ordinal =
      static_cast<std::size_t>(std::atoi(std::string(text).substr(9, 2).c_str()));
  if (ordinal >= state.devices.size()) return 6;  // NVML_ERROR_NOT_FOUND
  *device = &state.devices[ordinal];
  return 0;
}
FAKE_CALL nvmlDeviceGetClockInfo(void*, int, unsigned* mhz) {
  FAKE_ENTER;
  *mhz = state.clock_mhz;
  return 0;
}
FAKE_CALL nvmlDeviceGetCurrentClocksThrottleReasons(void*, unsigned long long* reasons) {
  FAKE_ENTER;
  *reasons = state.throttle_reasons;
  return 0;
}
FAKE_CALL nvmlSystemGetDriverVersion(char* text, unsigned length) {
  FAKE_ENTER;
  std::strncpy(text, "570.1.2", length);
  return 0;
}
// NOLINTEND
