// Calls of libfake_cuda.so about devices, contexts, libraries and launches; the names and parameter
// lists are those of src/load/cuda_api.hpp.
#include "support/fake_calls.hpp"
#include "support/fake_image.hpp"

// NOLINTBEGIN: names and parameter lists are the driver's.
using namespace jit;
using namespace jit::testing;

namespace {

constexpr CudaResult kInvalidValue = 1;
constexpr CudaResult kContextDestroyed = 709;
constexpr int kDefaultDynamicSmem = 48 * 1024;

FakeLaunch launch_of(const CudaLaunchConfig& config) {
  FakeLaunch launch;
  launch.grid = {config.grid_x, config.grid_y, config.grid_z};
  launch.block = {config.block_x, config.block_y, config.block_z};
  launch.smem_bytes = config.smem_bytes;
  launch.stream = config.stream;
  for (unsigned i = 0; i < config.attribute_count; ++i) {
    const CudaLaunchAttribute& attribute = config.attributes[i];
    if (attribute.id == kCudaLaunchClusterDimension) {
      const auto& value = attribute.value.cluster;
      launch.cluster = {value.x, value.y, value.z};
      launch.has_cluster = true;
    }
    if (attribute.id == kCudaLaunchProgrammatic) launch.programmatic = attribute.value.programmatic;
  }
  return launch;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) void* fake_cuda_control() {
  return static_cast<FakeCuda*>(&FakeState::get());
}

FAKE_CALL cuInit(unsigned) {
  FAKE_ENTER;
  return state.devices.empty() ? kCudaNoDevice : kCudaSuccess;
}
FAKE_CALL cuDriverGetVersion(int* version) {
  FAKE_ENTER;
  *version = state.version();
  return 0;
}
FAKE_CALL cuGetErrorName(CudaResult error, const char** text) {
  switch (error) {
    case 1: *text = "CUDA_ERROR_INVALID_VALUE"; return 0;
    case 2: *text = "CUDA_ERROR_OUT_OF_MEMORY"; return 0;
    case 100: *text = "CUDA_ERROR_NO_DEVICE"; return 0;
    case 200: *text = "CUDA_ERROR_INVALID_IMAGE"; return 0;
    case 201: *text = "CUDA_ERROR_INVALID_CONTEXT"; return 0;
    case 209: *text = "CUDA_ERROR_NO_BINARY_FOR_GPU"; return 0;
    case 500: *text = "CUDA_ERROR_NOT_FOUND"; return 0;
    case 900: *text = "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"; return 0;
    case 901: *text = "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"; return 0;
    default: *text = nullptr; return kInvalidValue;
  }
}
FAKE_CALL cuGetErrorString(CudaResult error, const char** text) {
  const CudaResult result = cuGetErrorName(error, text);
  if (result == 0) *text = "made up";
  return result;
}
FAKE_CALL cuDeviceGetCount(int* count) {
  FAKE_ENTER;
  *count = static_cast<int>(state.devices.size());
  return 0;
}
FAKE_CALL cuDeviceGet(CudaDevice* device, int ordinal) {
  FAKE_ENTER;
  *device = ordinal;
  return 0;
}
FAKE_CALL cuDeviceGetName(char* name, int size, CudaDevice device) {
  FAKE_ENTER;
  state.devices.at(static_cast<std::size_t>(device))
      .name.copy(name, static_cast<std::size_t>(size));
  return 0;
}
FAKE_CALL cuDeviceGetAttribute(int* value, int attribute, CudaDevice device) {
  FAKE_ENTER;
  const FakeDevice& row = state.devices.at(static_cast<std::size_t>(device));
  switch (attribute) {
    case kCudaDeviceCapabilityMajor: *value = row.capability.major; return 0;
    case kCudaDeviceCapabilityMinor: *value = row.capability.minor; return 0;
    case kCudaDeviceSmCount: *value = row.sm_count; return 0;
    case kCudaDeviceMaxSmemOptin: *value = static_cast<int>(row.max_smem_bytes); return 0;
    case kCudaDeviceL2Bytes: *value = 50 << 20; return 0;
    default: return kInvalidValue;
  }
}
FAKE_CALL cuDeviceTotalMem_v2(std::size_t* bytes, CudaDevice device) {
  FAKE_ENTER;
  *bytes = state.devices.at(static_cast<std::size_t>(device)).memory_bytes;
  return 0;
}

FAKE_CALL cuDevicePrimaryCtxRetain(CudaContext* context, CudaDevice device) {
  FAKE_ENTER;
  FakeContext*& slot = state.primary.at(static_cast<std::size_t>(device));
  if (slot == nullptr) slot = state.make_context(device);
  *context = object<jit::CudaContextTag>(slot);
  return 0;
}
FAKE_CALL cuDevicePrimaryCtxRelease_v2(CudaDevice) {
  FAKE_ENTER;
  return 0;
}
FAKE_CALL cuCtxCreate_v2(CudaContext* context, unsigned, CudaDevice device) {
  FAKE_ENTER;
  FakeContext* made = state.make_context(device);
  FakeState::context_stack().push_back(made);
  *context = object<jit::CudaContextTag>(made);
  return 0;
}
FAKE_CALL cuCtxDestroy_v2(CudaContext context) {
  FAKE_ENTER;
  object<FakeContext>(context)->alive = false;
  return 0;
}
FAKE_CALL cuCtxGetId(CudaContext context, unsigned long long* id) {
  FAKE_ENTER;
  const FakeContext* asked =
      context != nullptr ? object<FakeContext>(context) : FakeState::current();
  if (asked == nullptr) return kCudaInvalidContext;
  if (!asked->alive) return kContextDestroyed;
  *id = asked->id;
  return 0;
}
FAKE_CALL cuCtxGetCurrent(CudaContext* context) {
  FAKE_ENTER;
  *context = object<jit::CudaContextTag>(FakeState::current());
  return 0;
}
FAKE_CALL cuCtxSetCurrent(CudaContext context) {
  FAKE_ENTER;
  auto& stack = FakeState::context_stack();
  if (!stack.empty()) stack.pop_back();
  if (context != nullptr) stack.push_back(object<FakeContext>(context));
  return 0;
}
FAKE_CALL cuCtxPushCurrent_v2(CudaContext context) {
  FAKE_ENTER;
  FakeState::context_stack().push_back(object<FakeContext>(context));
  return 0;
}
FAKE_CALL cuCtxPopCurrent_v2(CudaContext* context) {
  FAKE_ENTER;
  auto& stack = FakeState::context_stack();
  if (stack.empty()) return kCudaInvalidContext;
  *context = object<jit::CudaContextTag>(stack.back());
  stack.pop_back();
  return 0;
}
FAKE_CALL cuCtxGetDevice(CudaDevice* device) {
  FAKE_ENTER;
  if (FakeState::current() == nullptr) return kCudaInvalidContext;
  *device = FakeState::current()->device;
  return 0;
}
FAKE_CALL cuCtxSynchronize() {
  FAKE_ENTER_UNSAFE;
  return 0;
}
FAKE_CALL cuThreadExchangeStreamCaptureMode(CudaCaptureMode* mode) {
  FAKE_ENTER;
  std::swap(*mode, FakeState::thread_mode());
  return 0;
}

FAKE_CALL cuLibraryLoadData(CudaLibrary* library, const void* code, int*, void**, unsigned, int*,
                            void**, unsigned) {
  FAKE_ENTER_UNSAFE;
  const auto image = jit::testing::read_image(code);
  if (!image) return kCudaInvalidImage;
  auto made = std::make_unique<FakeLibrary>(FakeLibrary{*image});
  *library = object<jit::CudaLibraryTag>(made.get());
  state.loaded.emplace(made.get(), std::move(made));
  return 0;
}
FAKE_CALL cuLibraryUnload(CudaLibrary library) {
  FAKE_ENTER_UNSAFE;
  auto* gone = object<FakeLibrary>(library);
  std::erase_if(state.functions, [&](const auto& row) { return row.first.first == gone; });
  return state.loaded.erase(gone) == 1 ? 0 : kCudaInvalidHandle;
}
FAKE_CALL cuLibraryGetKernel(CudaKernel* kernel, CudaLibrary library, const char* name) {
  FAKE_ENTER;
  if (object<FakeLibrary>(library)->image.symbol != name) return kCudaNotFound;
  *kernel = object<jit::CudaKernelTag>(library);
  return 0;
}
FAKE_CALL cuKernelGetFunction(CudaFunction* function, CudaKernel kernel) {
  FAKE_ENTER_UNSAFE;
  auto* library = object<FakeLibrary>(kernel);
  FakeContext* context = FakeState::current();
  if (context == nullptr) return kCudaInvalidContext;
  const auto& capability = state.devices.at(static_cast<std::size_t>(context->device)).capability;
  const FakeImage& image = library->image;
  const int number = capability.major * 10 + capability.minor;
  const bool exact = image.arch_suffix == 'a';
  const bool runs = exact
                        ? image.arch_number == number
                        : image.arch_number / 10 == capability.major && image.arch_number <= number;
  if (!runs) return kCudaNoBinaryForGpu;
  auto& slot = state.functions[{library, context}];
  if (!slot) {
    slot = std::make_unique<FakeFunction>(FakeFunction{library, context, 0, false});
    slot->dynamic_smem = kDefaultDynamicSmem - static_cast<int>(image.static_smem_bytes);
  }
  *function = object<jit::CudaFunctionTag>(slot.get());
  return 0;
}
FAKE_CALL cuFuncGetAttribute(int* value, int attribute, CudaFunction function) {
  FAKE_ENTER;
  const auto* asked = object<FakeFunction>(function);
  switch (attribute) {
    case kCudaFunctionMaxThreads:
      *value = static_cast<int>(asked->library->image.max_threads);
      return 0;
    case kCudaFunctionSmemBytes:
      *value = static_cast<int>(asked->library->image.static_smem_bytes);
      return 0;
    case kCudaFunctionMaxDynamicSmem: *value = asked->dynamic_smem; return 0;
    default: return kInvalidValue;
  }
}
FAKE_CALL cuFuncSetAttribute(CudaFunction function, int attribute, int value) {
  FAKE_ENTER;
  auto* asked = object<FakeFunction>(function);
  if (attribute == kCudaFunctionMaxDynamicSmem) asked->dynamic_smem = value;
  if (attribute == kCudaFunctionLargeClusters) asked->large_clusters = value != 0;
  return 0;
}
FAKE_CALL cuLaunchKernel(CudaFunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                         unsigned block_x, unsigned block_y, unsigned block_z, unsigned smem_bytes,
                         Stream stream, void** arguments, void**) {
  FAKE_ENTER;
  const CudaLaunchConfig config{grid_x,  grid_y,     grid_z, block_x, block_y,
                                block_z, smem_bytes, stream, nullptr, 0};
  return state.record(*object<FakeFunction>(function), launch_of(config), arguments);
}
FAKE_CALL cuLaunchKernelEx(const CudaLaunchConfig* config, CudaFunction function, void** arguments,
                           void**) {
  FAKE_ENTER;
  FakeLaunch launch = launch_of(*config);
  launch.extended = true;
  return state.record(*object<FakeFunction>(function), std::move(launch), arguments);
}
FAKE_CALL cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CudaFunction function,
                                                      int threads, std::size_t smem_bytes) {
  FAKE_ENTER;
  const auto* asked = object<FakeFunction>(function);
  const bool fits = smem_bytes <= static_cast<std::size_t>(asked->dynamic_smem);
  *blocks = fits && threads > 0 ? 2048 / threads : 0;
  return 0;
}

// NOLINTEND
