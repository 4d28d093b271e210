// JIT_HOST_DEVICE: before functions that host and device share. NVRTC takes none without an
// execution space, a host compiler none with one.
#pragma once

#ifdef __CUDACC__
#define JIT_HOST_DEVICE __host__ __device__
#else
#define JIT_HOST_DEVICE
#endif
