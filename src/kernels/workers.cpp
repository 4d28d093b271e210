#include "kernels/workers.hpp"

#include "runtime/runtime_impl.hpp"

namespace jit::inline v1::kernels {

std::int64_t workers_or_all(Runtime& runtime, std::int64_t given) {
  if (given != 0) return given;
  Devices& devices = runtime.impl().devices();
  devices.driver();
  return devices.model(devices.model_index(-1)).multiprocessors;
}

}  // namespace jit::inline v1::kernels
