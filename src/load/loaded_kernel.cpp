#include "load/loaded_kernel.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

namespace jit::inline v1 {

std::string wrong_device_text(const KernelInfo& info, const Arch& arch, const DeviceInfo& device) {
  return fmt::format(
      "load {}: it is made for {}, but the current device {} ({}) has compute capability {}.{}; "
      "get "
      "the kernel with that device current",
      info.signature, arch.text(), device.ordinal, device.name, device.capability.major,
      device.capability.minor);
}

namespace {

constexpr std::uint32_t kSmemWithoutOptIn = 48 * 1024;
constexpr std::uint32_t kMaxThreadsPerBlock = 1024;
constexpr std::uint32_t kPortableCluster = 8;

bool is_single(const Dim3& extent) noexcept {
  return extent.x == 1 && extent.y == 1 && extent.z == 1;
}

std::string text_of(const Dim3& extent) {
  return fmt::format("{} x {} x {}", extent.x, extent.y, extent.z);
}

// Saturates: 32 bits cubed do not fit 64.
std::uint64_t volume(const Dim3& extent) noexcept {
  const std::uint64_t plane = std::uint64_t{extent.x} * extent.y;
  return plane >> 32 != 0 && extent.z != 0 ? plane : plane * extent.z;
}

}  // namespace

namespace detail {

LoadedKernel::LoadedKernel(Driver& driver, CudaLibrary library, CudaKernel kernel, KernelInfo info,
                           Arch arch)
    : driver_(driver), library_(library), kernel_(kernel), info_(std::move(info)), arch_(arch) {}

LoadedKernel::~LoadedKernel() {
  for (Slot* slot = slots_.load(std::memory_order_acquire); slot != nullptr;) {
    delete std::exchange(slot, slot->next);
  }
  if (process_is_exiting()) return;
  const RelaxedCapture relaxed(driver_);
  driver_.api().library_unload(library_);
}

LoadedKernel::Slot* LoadedKernel::find_slot(Slot* slot, std::uint64_t context_id) noexcept {
  while (slot != nullptr && slot->context_id != context_id) slot = slot->next;
  return slot;
}

LoadedKernel::Slot& LoadedKernel::slot() {
  if (process_is_exiting()) {
    throw Error(ErrorCode::kShuttingDown,
                fmt::format("launch {}: process exit has begun", info_.signature));
  }
  // The number of a context is never used again, unlike its address.
  unsigned long long context_id = 0;
  if (driver_.api().context_id(nullptr, &context_id) == kCudaSuccess) {
    Slot* const first = slots_.load(std::memory_order_acquire);
    if (Slot* ready = find_slot(first, context_id)) return *ready;
  }
  return materialise();
}

LoadedKernel::Slot& LoadedKernel::materialise() {
  const int ordinal = driver_.ensure_context();
  const DeviceInfo& device = driver_.device(ordinal);
  if (!runs_on(arch_, device.capability)) {
    throw Error(ErrorCode::kUnsupportedArch, wrong_device_text(info_, arch_, device));
  }
  const char* call = "";
  Slot* made = nullptr;
  const CudaResult result = make_slot(ordinal, &made, &call);
  if (result != kCudaSuccess) {
    driver_.fail(result, fmt::format("load {}", info_.signature), call);
  }
  return *made;
}

CudaResult LoadedKernel::make_slot(int ordinal, Slot** made, const char** call) {
  const CudaApi& api = driver_.api();
  auto fresh = std::make_unique<Slot>();
  const RelaxedCapture relaxed(driver_);
  unsigned long long context_id = 0;
  *call = "cuCtxGetId";
  CudaResult result = api.context_id(nullptr, &context_id);
  if (result != kCudaSuccess) return result;
  *call = "cuKernelGetFunction";
  result = api.kernel_function(&fresh->function, kernel_);
  if (result != kCudaSuccess) return result;
  int smem_static = 0;
  *call = "cuFuncGetAttribute";
  result = api.function_get(&smem_static, kCudaFunctionSmemBytes, fresh->function);
  if (result != kCudaSuccess) return result;

  const std::uint32_t smem_device = driver_.device(ordinal).max_smem_bytes;
  fresh->context_id = context_id;
  fresh->smem_static = static_cast<std::uint32_t>(smem_static);
  fresh->smem_max = smem_device - std::min(fresh->smem_static, smem_device);
  fresh->smem_limit = kSmemWithoutOptIn - std::min(fresh->smem_static, kSmemWithoutOptIn);
  fresh->next = slots_.load(std::memory_order_acquire);
  do {
    *made = find_slot(fresh->next, context_id);
    if (*made != nullptr) return kCudaSuccess;  // another thread was here first
  } while (!slots_.compare_exchange_weak(fresh->next, fresh.get(), std::memory_order_acq_rel,
                                         std::memory_order_acquire));
  *made = fresh.release();
  return kCudaSuccess;
}

CudaResult LoadedKernel::make_ready(int ordinal, const char** call) {
  Slot* made = nullptr;
  CudaResult result = make_slot(ordinal, &made, call);
  if (result != kCudaSuccess) return result;
  int threads = 0;
  *call = "cuFuncGetAttribute";
  result = driver_.api().function_get(&threads, kCudaFunctionMaxThreads, made->function);
  if (result == kCudaSuccess) info_.max_threads = static_cast<std::uint32_t>(threads);
  return result;
}

void LoadedKernel::prepare() { slot(); }

void LoadedKernel::refuse_launch(const std::string& reason) const {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("launch {}: {}", info_.signature, reason));
}

void LoadedKernel::check_launch(const LaunchConfig& config, std::size_t params_bytes) const {
  if (params_bytes != info_.params_bytes) {
    refuse_launch(fmt::format(
        "the Params given have {} bytes, the kernel takes {}; include the template's own params "
        "header and rebuild",
        params_bytes, info_.params_bytes));
  }
  const std::uint64_t threads = volume(config.block);
  const std::uint32_t limit = info_.max_threads != 0 ? info_.max_threads : kMaxThreadsPerBlock;
  if (threads == 0 || threads > limit) {
    refuse_launch(fmt::format("a block of {} has {} threads, the kernel takes 1 to {}",
                              text_of(config.block), threads, limit));
  }
  if (volume(config.grid) == 0) {
    refuse_launch(fmt::format("a grid of {} is empty; leave the launch out", text_of(config.grid)));
  }
}

void LoadedKernel::allow_smem(Slot& slot, std::uint32_t smem_bytes) {
  if (smem_bytes > slot.smem_max) {
    refuse_launch(fmt::format(
        "{} bytes of dynamic shared memory are asked for, the device gives {} beside the {} static "
        "ones",
        smem_bytes, slot.smem_max, slot.smem_static));
  }
  const RelaxedCapture relaxed(driver_);
  // All there is at once: the limit reserves nothing, and a launch takes what it asks for.
  driver_.check(driver_.api().function_set(slot.function, kCudaFunctionMaxDynamicSmem,
                                           static_cast<int>(slot.smem_max)),
                fmt::format("launch {}", info_.signature), "cuFuncSetAttribute");
  slot.smem_limit.store(slot.smem_max, std::memory_order_release);
}

void LoadedKernel::allow_large_clusters(Slot& slot) {
  const RelaxedCapture relaxed(driver_);
  driver_.check(driver_.api().function_set(slot.function, kCudaFunctionLargeClusters, 1),
                fmt::format("launch {}", info_.signature), "cuFuncSetAttribute");
  slot.large_clusters.store(true, std::memory_order_release);
}

CudaResult LoadedKernel::launch_with_attributes(const Slot& slot, const LaunchConfig& config,
                                                void** arguments) const {
  std::array<CudaLaunchAttribute, 2> attributes{};
  unsigned count = 0;
  if (!is_single(config.cluster)) {
    attributes[count].id = kCudaLaunchClusterDimension;
    attributes[count].value.cluster = {config.cluster.x, config.cluster.y, config.cluster.z};
    ++count;
  }
  if (config.programmatic_dependent) {
    attributes[count].id = kCudaLaunchProgrammatic;
    attributes[count].value.programmatic = 1;
    ++count;
  }
  const CudaLaunchConfig launch{
      config.grid.x,  config.grid.y,     config.grid.z, config.block.x,    config.block.y,
      config.block.z, config.smem_bytes, config.stream, attributes.data(), count};
  return driver_.api().launch_ex(&launch, slot.function, arguments, nullptr);
}

void LoadedKernel::launch(const LaunchConfig& config, const void* params,
                          std::size_t params_bytes) {
  check_launch(config, params_bytes);
  Slot& ready = slot();
  if (config.smem_bytes > ready.smem_limit.load(std::memory_order_acquire)) {
    allow_smem(ready, config.smem_bytes);
  }
  void* arguments[] = {const_cast<void*>(params)};
  CudaResult result = kCudaSuccess;
  const char* call = "cuLaunchKernel";
  if (is_single(config.cluster) && !config.programmatic_dependent) {
    result = driver_.api().launch(ready.function, config.grid.x, config.grid.y, config.grid.z,
                                  config.block.x, config.block.y, config.block.z, config.smem_bytes,
                                  config.stream, arguments, nullptr);
  } else {
    call = "cuLaunchKernelEx";
    if (volume(config.cluster) > kPortableCluster &&
        !ready.large_clusters.load(std::memory_order_acquire)) {
      allow_large_clusters(ready);
    }
    result = launch_with_attributes(ready, config, arguments);
  }
  if (result != kCudaSuccess) {
    driver_.fail(result,
                 fmt::format("launch {} (grid {}, block {}, {} bytes of dynamic shared memory)",
                             info_.signature, text_of(config.grid), text_of(config.block),
                             config.smem_bytes),
                 call);
  }
}

int LoadedKernel::max_active_blocks(int threads, std::size_t smem_bytes) {
  Slot& ready = slot();
  if (smem_bytes > ready.smem_limit.load(std::memory_order_acquire)) {
    allow_smem(ready, static_cast<std::uint32_t>(std::min<std::size_t>(
                          smem_bytes, std::numeric_limits<std::uint32_t>::max())));
  }
  int blocks = 0;
  driver_.check(driver_.api().occupancy(&blocks, ready.function, threads, smem_bytes),
                fmt::format("find occupancy of {}", info_.signature),
                "cuOccupancyMaxActiveBlocksPerMultiprocessor");
  return blocks;
}

}  // namespace detail
}  // namespace jit::inline v1
