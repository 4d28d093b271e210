#include "kernels/workers.hpp"

#include <algorithm>

#include "runtime/runtime_impl.hpp"

namespace jit::inline v1::kernels {
namespace {

constexpr std::int64_t kThreads = 2048;
constexpr std::int64_t kRegisters = 65'536;
constexpr std::int64_t kRegistersOfWarp = 256;  // a warp has a multiple of them
constexpr std::int64_t kSmemBytes = 228 << 10;
constexpr std::int64_t kSystemSmemBytes = 1 << 10;  // of every block
constexpr std::int64_t kWarp = 32;

std::int64_t ceil_div(std::int64_t value, std::int64_t by) { return (value + by - 1) / by; }

}  // namespace

std::int64_t multiprocessors_of(Runtime& runtime) {
  Devices& devices = runtime.impl().devices();
  devices.driver();
  return devices.model(devices.model_index(-1)).multiprocessors;
}

std::int64_t workers_or_all(Runtime& runtime, std::int64_t given) {
  return given != 0 ? given : multiprocessors_of(runtime);
}

std::int64_t blocks_that_fit(const BlockNeeds& block) noexcept {
  const std::int64_t warps = ceil_div(block.threads, kWarp);
  const std::int64_t registers =
      warps * ceil_div(block.registers * kWarp, kRegistersOfWarp) * kRegistersOfWarp;
  const std::int64_t by_threads = kThreads / std::max<std::int64_t>(warps * kWarp, 1);
  const std::int64_t by_registers = kRegisters / std::max<std::int64_t>(registers, 1);
  const std::int64_t by_smem = kSmemBytes / (block.smem_bytes + kSystemSmemBytes);
  return std::max<std::int64_t>(std::min({by_threads, by_registers, by_smem}), 1);
}

}  // namespace jit::inline v1::kernels
