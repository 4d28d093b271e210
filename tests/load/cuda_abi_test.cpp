// Compares src/load/cuda_api.hpp with CUDA's own header, where a toolkit is installed.
#include "load/cuda_api.hpp"

#include <catch2/catch_test_macros.hpp>
#include <type_traits>

#include "jit/tensor_map.hpp"

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

TEST_CASE("tensor maps are encoded as the driver declares it") {
  using Declared = decltype(cuTensorMapEncodeTiled);
  using Rows = decltype(CudaApi{}.tensor_map_encode);
  // Enumerations of the header are ints here; all else is the same.
  STATIC_CHECK(std::is_invocable_v<Declared, CUtensorMap*, CUtensorMapDataType, unsigned, void*,
                                   const std::uint64_t*, const std::uint64_t*, const std::uint32_t*,
                                   const std::uint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                   CUtensorMapL2promotion, CUtensorMapFloatOOBfill>);
  STATIC_CHECK(std::is_invocable_v<Rows, CUtensorMap*, CUtensorMapDataType, unsigned, void*,
                                   const std::uint64_t*, const std::uint64_t*, const std::uint32_t*,
                                   const std::uint32_t*, CUtensorMapInterleave, CUtensorMapSwizzle,
                                   CUtensorMapL2promotion, CUtensorMapFloatOOBfill>);
  STATIC_CHECK(sizeof(CUtensorMapDataType) == sizeof(int));
  STATIC_CHECK(sizeof(TensorMapBits) == sizeof(CUtensorMap));
  // 64 is what the driver asks for; the header's type has 128 from CUDA 13 on.
  STATIC_CHECK(alignof(CUtensorMap) % alignof(TensorMapBits) == 0);
  STATIC_CHECK(alignof(TensorMapBits) == 64);
  CHECK(kCudaTensorMapU8 == CU_TENSOR_MAP_DATA_TYPE_UINT8);
  CHECK(kCudaTensorMapI32 == CU_TENSOR_MAP_DATA_TYPE_INT32);
  CHECK(kCudaTensorMapF16 == CU_TENSOR_MAP_DATA_TYPE_FLOAT16);
  CHECK(kCudaTensorMapF32 == CU_TENSOR_MAP_DATA_TYPE_FLOAT32);
  CHECK(kCudaTensorMapBF16 == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16);
  CHECK(kCudaTensorMapNotInterleaved == CU_TENSOR_MAP_INTERLEAVE_NONE);
  CHECK(static_cast<int>(Swizzle::kNone) == CU_TENSOR_MAP_SWIZZLE_NONE);
  CHECK(static_cast<int>(Swizzle::k32Bytes) == CU_TENSOR_MAP_SWIZZLE_32B);
  CHECK(static_cast<int>(Swizzle::k64Bytes) == CU_TENSOR_MAP_SWIZZLE_64B);
  CHECK(static_cast<int>(Swizzle::k128Bytes) == CU_TENSOR_MAP_SWIZZLE_128B);
  CHECK(static_cast<int>(L2Promotion::kNone) == CU_TENSOR_MAP_L2_PROMOTION_NONE);
  CHECK(static_cast<int>(L2Promotion::k64Bytes) == CU_TENSOR_MAP_L2_PROMOTION_L2_64B);
  CHECK(static_cast<int>(L2Promotion::k128Bytes) == CU_TENSOR_MAP_L2_PROMOTION_L2_128B);
  CHECK(static_cast<int>(L2Promotion::k256Bytes) == CU_TENSOR_MAP_L2_PROMOTION_L2_256B);
  CHECK(static_cast<int>(OutOfBounds::kZero) == CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  CHECK(static_cast<int>(OutOfBounds::kNaN) == CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA);
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
