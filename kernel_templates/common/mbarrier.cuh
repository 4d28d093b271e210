// Barriers in shared memory that count arrivals and bytes, one PTX instruction each.
//
// A barrier goes through phases. A phase ends when as many arrivals as it was made for have come
// and all bytes that were announced for it have landed; the next one begins at once, with the same
// count. Waiting names the parity of a phase: 0 for the first, 1 for the second, 0 again. Waiting
// for parity 1 on a new barrier returns at once: "the phase before the first" has ended.
//
// Pattern: full and empty barriers of a ring of stages. Pass i of a stage is its phase i:
//            producer: wait_parity(empty, (i & 1) ^ 1), arrive_expect_tx(full, bytes), loads
//            consumer: wait_parity(full, i & 1), uses the stage, arrive(empty)
// Order: what a thread wrote before it arrived, and what the asynchronous copies wrote, is visible
//        to those that saw the phase end; within the block, or with the cluster forms within the
//        cluster.
// Arch: sm_90 and later.
// Source: PTX ISA 9.0, 9.7.13.15 "mbarrier".
#pragma once

#include "common/cluster.cuh"
#include "common/shared.cuh"

namespace cubinet {

// Lies in shared memory. Its bits are the hardware's own.
struct alignas(8) Mbarrier {
  unsigned long long state;
};

static_assert(sizeof(Mbarrier) == 8, "a barrier takes 8 bytes");

// ---- Life ----

// A new barrier whose phases take `count` arrivals each.
//
// Requires: one thread calls it, then fence_mbarrier_init() if asynchronous copies or other blocks
//           use the barrier, then a barrier of the block (of the cluster) before the first use.
//           1 <= count < 2^20.
__device__ __forceinline__ void mbarrier_init(Mbarrier* barrier, unsigned int count) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)), "r"(count)
               : "memory");
}

// Makes new barriers visible to asynchronous copies and to the cluster; once, after the last
// mbarrier_init, by the thread that called it. Source: 9.7.13.4 "membar / fence".
__device__ __forceinline__ void fence_mbarrier_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

// The memory may be used for something else afterwards. Requires: nobody waits, nothing is pending.
__device__ __forceinline__ void mbarrier_invalidate(Mbarrier* barrier) {
  asm volatile("mbarrier.inval.shared::cta.b64 [%0];" ::"r"(shared_address(barrier)) : "memory");
}

// ---- Arriving ----

__device__ __forceinline__ void mbarrier_arrive(Mbarrier* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
}

// Announces `bytes` that asynchronous copies will write in this phase, then arrives. A box counts
// whole, also where it lies outside of its tensor. Units: bytes < 2^20 in all per phase.
__device__ __forceinline__ void mbarrier_arrive_expect_tx(Mbarrier* barrier, unsigned int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}

// The announcement alone. Requires: the phase cannot end meanwhile, as an arrival is still missing.
__device__ __forceinline__ void mbarrier_expect_tx(Mbarrier* barrier, unsigned int bytes) {
  asm volatile(
      "mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}

// Arrives at the barrier that lies where `barrier` does, in the shared memory of block `rank` of
// the cluster. Waiters need the cluster form of waiting.
__device__ __forceinline__ void mbarrier_arrive_cluster(Mbarrier* barrier, unsigned int rank) {
  asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(
                   shared_address_in_block(barrier, rank))
               : "memory");
}

// mbarrier_arrive_expect_tx at another block's barrier.
__device__ __forceinline__ void mbarrier_arrive_expect_tx_cluster(Mbarrier* barrier,
                                                                  unsigned int rank,
                                                                  unsigned int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%0], %1;" ::"r"(
                   shared_address_in_block(barrier, rank)),
               "r"(bytes)
               : "memory");
}

// ---- Waiting ----

// True if the phase with this parity, the current one or the one before, has ended.
__device__ __forceinline__ bool mbarrier_test_wait_parity(Mbarrier* barrier, unsigned int parity) {
  unsigned int ended;
  asm volatile(
      "{\n\t.reg .pred ended;\n\t"
      "mbarrier.test_wait.parity.shared::cta.b64 ended, [%1], %2;\n\t"
      "selp.b32 %0, 1, 0, ended;\n\t}"
      : "=r"(ended)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return ended != 0;
}

// The same, but the thread may sleep for a while that the hardware chooses until it is true.
__device__ __forceinline__ bool mbarrier_try_wait_parity(Mbarrier* barrier, unsigned int parity) {
  unsigned int ended;
  asm volatile(
      "{\n\t.reg .pred ended;\n\t"
      "mbarrier.try_wait.parity.shared::cta.b64 ended, [%1], %2;\n\t"
      "selp.b32 %0, 1, 0, ended;\n\t}"
      : "=r"(ended)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return ended != 0;
}

__device__ __forceinline__ bool mbarrier_try_wait_parity_cluster(Mbarrier* barrier,
                                                                 unsigned int parity) {
  unsigned int ended;
  asm volatile(
      "{\n\t.reg .pred ended;\n\t"
      "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 ended, [%1], %2;\n\t"
      "selp.b32 %0, 1, 0, ended;\n\t}"
      : "=r"(ended)
      : "r"(shared_address(barrier)), "r"(parity)
      : "memory");
  return ended != 0;
}

// Returns when the phase with this parity has ended.
__device__ __forceinline__ void mbarrier_wait_parity(Mbarrier* barrier, unsigned int parity) {
  while (!mbarrier_try_wait_parity(barrier, parity)) {
  }
}

// The same where threads of other blocks arrive. Copies that others issued need only the plain
// form.
__device__ __forceinline__ void mbarrier_wait_parity_cluster(Mbarrier* barrier,
                                                             unsigned int parity) {
  while (!mbarrier_try_wait_parity_cluster(barrier, parity)) {
  }
}

}  // namespace cubinet
