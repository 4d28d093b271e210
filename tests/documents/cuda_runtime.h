// What kernel_templates/README.md's tuning program needs of CUDA, over the host's memory, which is
// what the fake driver's kernels are given, too: so it is built where there is no toolkit.
#pragma once

#include <cstdlib>
#include <cstring>

using cudaStream_t = struct CUstream_st*;
enum { cudaSuccess = 0, cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };

inline int cudaMalloc(float** pointer, std::size_t bytes) {
  *pointer = static_cast<float*>(std::malloc(bytes));
  return cudaSuccess;
}
inline int cudaFree(void* pointer) {
  std::free(pointer);
  return cudaSuccess;
}
inline int cudaMemcpy(void* to, const void* from, std::size_t bytes, int) {
  std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline int cudaMemsetAsync(void* pointer, int byte, std::size_t bytes, cudaStream_t) {
  std::memset(pointer, byte, bytes);
  return cudaSuccess;
}
inline int cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
