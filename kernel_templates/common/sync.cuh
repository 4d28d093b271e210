// Fences between the two ways to memory, registers of a warpgroup, barriers of some warps.
//
// Arch: sm_90 and later; setmaxnreg sm_90a.
// Source: PTX ISA 9.0, the sections named below.
#pragma once

namespace cubinet {

// ---- Proxies ----

// Asynchronous copies and wgmma reach memory another way (proxy) than loads and stores do. What
// threads wrote is seen by them only after the writers' fence, and a barrier if others wrote too.
// Source: 9.7.13.4 "membar / fence".

// For shared memory of this block.
__device__ __forceinline__ void fence_proxy_async_shared() {
  asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// For all memory.
__device__ __forceinline__ void fence_proxy_async() {
  asm volatile("fence.proxy.async;" ::: "memory");
}

// ---- Registers of a warpgroup ----

// Changes how many registers each thread may use: register_release gives some back to the block,
// register_allocate waits until as many are free.
//
// Requires: all warps of a warpgroup (128 threads from a multiple of 128) call it, converged. COUNT
//           is a multiple of 8 from 24 to 256. The kernel has launch bounds (max_threads in a
//           manifest). Without a least number of blocks (min_blocks) the assembler drops both from
//           a kernel that fits without, which then runs with what it has. The sum over all threads
//           of the block never exceeds what it was launched with: every thread comes with 65,536 /
//           (threads * blocks), rounded down to a multiple of 8, at most 255.
// Source: 9.7.19.5 "setmaxnreg".
template <int COUNT>
__device__ __forceinline__ void register_allocate() {
  static_assert(COUNT >= 24 && COUNT <= 256 && COUNT % 8 == 0,
                "registers per thread must be a multiple of 8 from 24 to 256");
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}
template <int COUNT>
__device__ __forceinline__ void register_release() {
  static_assert(COUNT >= 24 && COUNT <= 256 && COUNT % 8 == 0,
                "registers per thread must be a multiple of 8 from 24 to 256");
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}

// ---- Barriers of some warps ----

// A block has 16 barriers; 0 is that of __syncthreads. One ends when `threads` threads have come to
// it, those that wait (sync) and those that go on (arrive) counted together; then it begins anew.
//
// Requires: all threads of a warp call it together; `threads` is a multiple of 32 and the same for
//           all that meet. Order: as __syncthreads, among those that meet.
// Source: 9.7.13.1 "bar, barrier".
template <int ID>
__device__ __forceinline__ void named_barrier_sync(unsigned int threads) {
  static_assert(ID >= 1 && ID <= 15, "a named barrier is 1 to 15: 0 is that of __syncthreads");
  asm volatile("bar.sync %0, %1;" ::"n"(ID), "r"(threads) : "memory");
}
template <int ID>
__device__ __forceinline__ void named_barrier_arrive(unsigned int threads) {
  static_assert(ID >= 1 && ID <= 15, "a named barrier is 1 to 15: 0 is that of __syncthreads");
  asm volatile("bar.arrive %0, %1;" ::"n"(ID), "r"(threads) : "memory");
}

// The same for a barrier that is known only at run time, as one per warpgroup is.
__device__ __forceinline__ void named_barrier_sync(unsigned int id, unsigned int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
__device__ __forceinline__ void named_barrier_arrive(unsigned int id, unsigned int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// ---- One of a warp ----

// True in one lane of the warp, always the same one. Requires: all lanes call it together.
// Source: 9.7.13.14 "elect.sync".
__device__ __forceinline__ bool elect_one() {
  unsigned int elected;
  asm volatile(
      "{\n\t.reg .pred elected;\n\t"
      "elect.sync _|elected, 0xffffffff;\n\t"
      "selp.b32 %0, 1, 0, elected;\n\t}"
      : "=r"(elected));
  return elected != 0;
}

}  // namespace cubinet
