// The part of CUDA's driver API that the library calls, declared here so that building needs no
// CUDA header. Names, numbers and layouts are the driver's binary interface and never change there;
// tests/load/cuda_abi_test.cpp compares them with <cuda.h> where a toolkit is installed.
#pragma once

#include <cstddef>
#include <cstdint>

#include "jit/kernel.hpp"

namespace jit::inline v1 {

using CudaResult = int;  // CUresult
using CudaDevice = int;  // CUdevice
using CudaDevicePointer = unsigned long long;
using CudaContext = struct CudaContextTag*;
using CudaLibrary = struct CudaLibraryTag*;
using CudaKernel = struct CudaKernelTag*;
using CudaFunction = struct CudaFunctionTag*;
using CudaEvent = struct CudaEventTag*;
using CudaGraph = struct CudaGraphTag*;
using CudaGraphExec = struct CudaGraphExecTag*;
using CudaCaptureMode = int;    // CUstreamCaptureMode
using CudaCaptureStatus = int;  // CUstreamCaptureStatus

inline constexpr CudaResult kCudaSuccess = 0;
inline constexpr CudaResult kCudaOutOfMemory = 2;
inline constexpr CudaResult kCudaNotInitialized = 3;
inline constexpr CudaResult kCudaDeinitialized = 4;
inline constexpr CudaResult kCudaStubLibrary = 34;
inline constexpr CudaResult kCudaNoDevice = 100;
inline constexpr CudaResult kCudaInvalidImage = 200;
inline constexpr CudaResult kCudaInvalidContext = 201;
inline constexpr CudaResult kCudaNoBinaryForGpu = 209;
inline constexpr CudaResult kCudaInvalidPtx = 218;
inline constexpr CudaResult kCudaUnsupportedPtxVersion = 222;
inline constexpr CudaResult kCudaInvalidSource = 300;
inline constexpr CudaResult kCudaSymbolNotFound = 302;
inline constexpr CudaResult kCudaInvalidHandle = 400;
inline constexpr CudaResult kCudaNotFound = 500;
inline constexpr CudaResult kCudaSystemDriverMismatch = 803;
inline constexpr CudaResult kCudaCompatNotSupported = 804;
inline constexpr CudaResult kCudaCaptureUnsupported = 900;
inline constexpr CudaResult kCudaCaptureImplicit = 906;

inline constexpr CudaCaptureMode kCudaCaptureGlobal = 0;
inline constexpr CudaCaptureMode kCudaCaptureThreadLocal = 1;
inline constexpr CudaCaptureMode kCudaCaptureRelaxed = 2;
inline constexpr CudaCaptureStatus kCudaCaptureNone = 0;
inline constexpr std::uintptr_t kCudaPerThreadStream = 2;  // CU_STREAM_PER_THREAD

inline constexpr int kCudaDeviceSmCount = 16;  // CU_DEVICE_ATTRIBUTE_*
inline constexpr int kCudaDeviceL2Bytes = 38;
inline constexpr int kCudaDeviceCapabilityMajor = 75;
inline constexpr int kCudaDeviceCapabilityMinor = 76;
inline constexpr int kCudaDeviceMaxSmemOptin = 97;
inline constexpr int kCudaFunctionMaxThreads = 0;  // CU_FUNC_ATTRIBUTE_*
inline constexpr int kCudaFunctionSmemBytes = 1;
inline constexpr int kCudaFunctionMaxDynamicSmem = 8;
inline constexpr int kCudaFunctionLargeClusters = 14;
inline constexpr int kCudaTensorMapU8 = 0;  // CU_TENSOR_MAP_DATA_TYPE_*
inline constexpr int kCudaTensorMapI32 = 3;
inline constexpr int kCudaTensorMapF16 = 6;
inline constexpr int kCudaTensorMapF32 = 7;
inline constexpr int kCudaTensorMapBF16 = 9;
inline constexpr int kCudaTensorMapNotInterleaved = 0;  // CU_TENSOR_MAP_INTERLEAVE_NONE
inline constexpr int kCudaLaunchClusterDimension = 4;   // CU_LAUNCH_ATTRIBUTE_*
inline constexpr int kCudaLaunchProgrammatic = 6;

union CudaLaunchValue {
  char pad[64];
  struct {
    unsigned x, y, z;
  } cluster;
  int programmatic;
};

struct CudaLaunchAttribute {  // CUlaunchAttribute
  int id;
  char pad[4];
  CudaLaunchValue value;
};

struct CudaLaunchConfig {  // CUlaunchConfig
  unsigned grid_x, grid_y, grid_z;
  unsigned block_x, block_y, block_z;
  unsigned smem_bytes;
  Stream stream;
  CudaLaunchAttribute* attributes;
  unsigned attribute_count;
};

// X(member, symbol, parameters...): one row per call; the symbol carries the version suffix that
// goes with these parameters. All are in every driver from CUDA 12.0 on.
#define JIT_CUDA_CALLS(X)                                                                         \
  X(init, "cuInit", unsigned flags)                                                               \
  X(driver_version, "cuDriverGetVersion", int* version)                                           \
  X(error_name, "cuGetErrorName", CudaResult error, const char** text)                            \
  X(error_string, "cuGetErrorString", CudaResult error, const char** text)                        \
  X(device_count, "cuDeviceGetCount", int* count)                                                 \
  X(device_get, "cuDeviceGet", CudaDevice* device, int ordinal)                                   \
  X(device_name, "cuDeviceGetName", char* name, int size, CudaDevice device)                      \
  X(device_attribute, "cuDeviceGetAttribute", int* value, int attribute, CudaDevice device)       \
  X(device_memory, "cuDeviceTotalMem_v2", std::size_t* bytes, CudaDevice device)                  \
  X(primary_retain, "cuDevicePrimaryCtxRetain", CudaContext* context, CudaDevice device)          \
  X(primary_release, "cuDevicePrimaryCtxRelease_v2", CudaDevice device)                           \
  X(context_create, "cuCtxCreate_v2", CudaContext* context, unsigned flags, CudaDevice device)    \
  X(context_destroy, "cuCtxDestroy_v2", CudaContext context)                                      \
  X(context_id, "cuCtxGetId", CudaContext context, unsigned long long* id)                        \
  X(context_current, "cuCtxGetCurrent", CudaContext* context)                                     \
  X(context_set, "cuCtxSetCurrent", CudaContext context)                                          \
  X(context_push, "cuCtxPushCurrent_v2", CudaContext context)                                     \
  X(context_pop, "cuCtxPopCurrent_v2", CudaContext* context)                                      \
  X(context_device, "cuCtxGetDevice", CudaDevice* device)                                         \
  X(context_synchronize, "cuCtxSynchronize")                                                      \
  X(exchange_capture_mode, "cuThreadExchangeStreamCaptureMode", CudaCaptureMode* mode)            \
  X(library_load, "cuLibraryLoadData", CudaLibrary* library, const void* code, int* jit_options,  \
    void** jit_values, unsigned jit_count, int* options, void** values, unsigned count)           \
  X(library_unload, "cuLibraryUnload", CudaLibrary library)                                       \
  X(library_kernel, "cuLibraryGetKernel", CudaKernel* kernel, CudaLibrary library,                \
    const char* name)                                                                             \
  X(kernel_function, "cuKernelGetFunction", CudaFunction* function, CudaKernel kernel)            \
  X(function_get, "cuFuncGetAttribute", int* value, int attribute, CudaFunction function)         \
  X(function_set, "cuFuncSetAttribute", CudaFunction function, int attribute, int value)          \
  X(launch, "cuLaunchKernel", CudaFunction function, unsigned grid_x, unsigned grid_y,            \
    unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z, unsigned smem_bytes,   \
    Stream stream, void** arguments, void** extra)                                                \
  X(launch_ex, "cuLaunchKernelEx", const CudaLaunchConfig* config, CudaFunction function,         \
    void** arguments, void** extra)                                                               \
  X(tensor_map_encode, "cuTensorMapEncodeTiled", void* map, int type, unsigned rank,              \
    void* address, const std::uint64_t* sizes, const std::uint64_t* strides,                      \
    const std::uint32_t* box, const std::uint32_t* element_strides, int interleave, int swizzle,  \
    int promotion, int fill)                                                                      \
  X(occupancy, "cuOccupancyMaxActiveBlocksPerMultiprocessor", int* blocks, CudaFunction function, \
    int threads, std::size_t smem_bytes)                                                          \
  X(memory_info, "cuMemGetInfo_v2", std::size_t* free_bytes, std::size_t* total_bytes)            \
  X(memory_alloc, "cuMemAlloc_v2", CudaDevicePointer* pointer, std::size_t bytes)                 \
  X(memory_free, "cuMemFree_v2", CudaDevicePointer pointer)                                       \
  X(copy_to_device, "cuMemcpyHtoD_v2", CudaDevicePointer to, const void* from, std::size_t bytes) \
  X(copy_to_host, "cuMemcpyDtoH_v2", void* to, CudaDevicePointer from, std::size_t bytes)         \
  X(copy_async, "cuMemcpyDtoDAsync_v2", CudaDevicePointer to, CudaDevicePointer from,             \
    std::size_t bytes, Stream stream)                                                             \
  X(set_async, "cuMemsetD8Async", CudaDevicePointer to, unsigned char value, std::size_t bytes,   \
    Stream stream)                                                                                \
  X(stream_create, "cuStreamCreate", Stream* stream, unsigned flags)                              \
  X(stream_destroy, "cuStreamDestroy_v2", Stream stream)                                          \
  X(stream_synchronize, "cuStreamSynchronize", Stream stream)                                     \
  X(stream_begin_capture, "cuStreamBeginCapture_v2", Stream stream, CudaCaptureMode mode)         \
  X(stream_end_capture, "cuStreamEndCapture", Stream stream, CudaGraph* graph)                    \
  X(stream_is_capturing, "cuStreamIsCapturing", Stream stream, CudaCaptureStatus* status)         \
  X(event_create, "cuEventCreate", CudaEvent* event, unsigned flags)                              \
  X(event_destroy, "cuEventDestroy_v2", CudaEvent event)                                          \
  X(event_record, "cuEventRecord", CudaEvent event, Stream stream)                                \
  X(event_synchronize, "cuEventSynchronize", CudaEvent event)                                     \
  X(event_elapsed, "cuEventElapsedTime", float* milliseconds, CudaEvent start, CudaEvent end)     \
  X(graph_instantiate, "cuGraphInstantiateWithFlags", CudaGraphExec* exec, CudaGraph graph,       \
    unsigned long long flags)                                                                     \
  X(graph_launch, "cuGraphLaunch", CudaGraphExec exec, Stream stream)                             \
  X(graph_destroy, "cuGraphDestroy", CudaGraph graph)                                             \
  X(graph_exec_destroy, "cuGraphExecDestroy", CudaGraphExec exec)

// CudaApi is one function pointer per row, set by Driver::open.
struct CudaApi {
#define JIT_CUDA_MEMBER(member, symbol, ...) CudaResult (*member)(__VA_ARGS__) = nullptr;
  JIT_CUDA_CALLS(JIT_CUDA_MEMBER)
#undef JIT_CUDA_MEMBER
};

}  // namespace jit::inline v1
