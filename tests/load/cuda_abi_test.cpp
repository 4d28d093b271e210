// Compares src/load/cuda_api.hpp with CUDA's own header, where a toolkit is installed.
#include "load/cuda_api.hpp"

#include <catch2/catch_test_macros.hpp>

#if __has_include("/usr/local/cuda/include/cuda.h")
#define JIT_TEST_CUDA_HEADER 1
#include "/usr/local/cuda/include/cuda.h"
#endif

namespace jit {
namespace {

#ifdef JIT_TEST_CUDA_HEADER

TEST_CASE("launch structures have the driver's layout") {
  STATIC_CHECK(sizeof(CudaLaunchConfig) == sizeof(CUlaunchConfig));
  STATIC_CHECK(offsetof(CudaLaunchConfig, smem_bytes) == offsetof(CUlaunchConfig, sharedMemBytes));
  STATIC_CHECK(offsetof(CudaLaunchConfig, stream) == offsetof(CUlaunchConfig, hStream));
  STATIC_CHECK(offsetof(CudaLaunchConfig, attributes) == offsetof(CUlaunchConfig, attrs));
  STATIC_CHECK(offsetof(CudaLaunchConfig, attribute_count) == offsetof(CUlaunchConfig, numAttrs));
  STATIC_CHECK(sizeof(CudaLaunchAttribute) == sizeof(CUlaunchAttribute));
  STATIC_CHECK(offsetof(CudaLaunchAttribute, value) == offsetof(CUlaunchAttribute, value));
  STATIC_CHECK(sizeof(CudaDevicePointer) == sizeof(CUdeviceptr));
}

TEST_CASE("numbers are the driver's") {
  CHECK(kCudaDeviceSmCount == CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  CHECK(kCudaDeviceL2Bytes == CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE);
  CHECK(kCudaDeviceCapabilityMajor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  CHECK(kCudaDeviceCapabilityMinor == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  CHECK(kCudaDeviceMaxSmemOptin == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN);
  CHECK(kCudaFunctionMaxThreads == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  CHECK(kCudaFunctionSmemBytes == CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES);
  CHECK(kCudaFunctionMaxDynamicSmem == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES);
  CHECK(kCudaFunctionLargeClusters == CU_FUNC_ATTRIBUTE_NON_PORTABLE_CLUSTER_SIZE_ALLOWED);
  CHECK(kCudaLaunchClusterDimension == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION);
  CHECK(kCudaLaunchProgrammatic == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION);
  CHECK(kCudaCaptureGlobal == CU_STREAM_CAPTURE_MODE_GLOBAL);
  CHECK(kCudaCaptureThreadLocal == CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
  CHECK(kCudaCaptureRelaxed == CU_STREAM_CAPTURE_MODE_RELAXED);
  CHECK(kCudaCaptureNone == CU_STREAM_CAPTURE_STATUS_NONE);
  CHECK(kCudaStubLibrary == CUDA_ERROR_STUB_LIBRARY);
  CHECK(kCudaNoDevice == CUDA_ERROR_NO_DEVICE);
  CHECK(kCudaInvalidImage == CUDA_ERROR_INVALID_IMAGE);
  CHECK(kCudaInvalidContext == CUDA_ERROR_INVALID_CONTEXT);
  CHECK(kCudaNoBinaryForGpu == CUDA_ERROR_NO_BINARY_FOR_GPU);
  CHECK(kCudaInvalidPtx == CUDA_ERROR_INVALID_PTX);
  CHECK(kCudaUnsupportedPtxVersion == CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  CHECK(kCudaInvalidSource == CUDA_ERROR_INVALID_SOURCE);
  CHECK(kCudaSymbolNotFound == CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND);
  CHECK(kCudaNotFound == CUDA_ERROR_NOT_FOUND);
  CHECK(kCudaSystemDriverMismatch == CUDA_ERROR_SYSTEM_DRIVER_MISMATCH);
  CHECK(kCudaCompatNotSupported == CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE);
  CHECK(kCudaCaptureImplicit == CUDA_ERROR_STREAM_CAPTURE_IMPLICIT);
// The macro is a cast of the header's own style.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-cast"
  const CUstream per_thread = CU_STREAM_PER_THREAD;
#pragma GCC diagnostic pop
  CHECK(kCudaPerThreadStream == reinterpret_cast<std::uintptr_t>(per_thread));
  CHECK(kCudaCaptureUnsupported == CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
}

#else

TEST_CASE("launch structures have the driver's layout") { SKIP("no CUDA toolkit"); }

#endif

}  // namespace
}  // namespace jit
