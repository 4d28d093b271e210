// Asynchronous bulk copies between global and shared memory (TMA), one PTX instruction each.
//
// One thread issues a copy for the whole block. A load writes shared memory and reports its bytes
// to a barrier (common/mbarrier.cuh); a store reads shared memory and belongs to the issuing
// thread's bulk group. Boxes are described by a tensor map; coordinates are in elements, innermost
// first, and may lie outside of the tensor: there a load fills with what the map says (zeros or
// NaN) and a store writes nothing. A box always counts with all of its bytes.
// An innermost coordinate that is no multiple of 16 bytes, and a negative one in a store, die as an
// illegal instruction: loads alone may begin before the tensor. A store writes the last 16 bytes of
// a row whole: a tensor that is stored to has rows of a multiple of them.
//
// Requires: a tensor map in a kernel's __grid_constant__ parameter, constant or global memory, at a
//           multiple of 64; shared memory aligned to 128 bytes for boxes, to the swizzle's repeat
//           (common/swizzle.cuh) where the map swizzles, and to 16 bytes for bulk copies.
// Order: an issued load may run before earlier writes of this thread to the same shared memory are
//        done: fence_proxy_async_shared() first. Stores read what threads wrote only after that
//        fence, and a barrier of the writers.
// Arch: sm_90 and later.
// Source: PTX ISA 9.0, 9.7.9.25.4 "Bulk copy", 9.7.9.27 "Tensor copy", 5.5 "Tensors".
#pragma once

#include "common/mbarrier.cuh"
#include "common/shared.cuh"
#include "common/tensor_map.h"

namespace cubinet {

// What the L2 does with the lines of a copy: the encodings of createpolicy.fractional with all of
// the lines. Source: PTX ISA 9.0, 9.7.9.18 "createpolicy".
enum class CachePolicy : unsigned long long {
  kEvictNormal = 0x16F0000000000000ull,
  kEvictFirst = 0x12F0000000000000ull,
  kEvictLast = 0x14F0000000000000ull
};

namespace detail {

__device__ __forceinline__ unsigned long long bits_of(CachePolicy policy) {
  return static_cast<unsigned long long>(policy);
}

}  // namespace detail

// Fetches a tensor map ahead of its first use.
__device__ __forceinline__ void prefetch_tensor_map(const TensorMap& map) {
  asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
}

// ---- Loads of boxes ----

__device__ __forceinline__ void tma_load_1d(void* smem, const TensorMap& map, Mbarrier* barrier,
                                            CachePolicy policy, int c0) {
  asm volatile(
      "cp.async.bulk.tensor.1d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%3}], [%2], %4;" ::"r"(shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_load_2d(void* smem, const TensorMap& map, Mbarrier* barrier,
                                            CachePolicy policy, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%3, %4}], [%2], %5;" ::"r"(shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_load_3d(void* smem, const TensorMap& map, Mbarrier* barrier,
                                            CachePolicy policy, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%3, %4, %5}], [%2], %6;" ::"r"(shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2),
      "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_load_4d(void* smem, const TensorMap& map, Mbarrier* barrier,
                                            CachePolicy policy, int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%3, %4, %5, %6}], [%2], %7;" ::"r"(shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3),
      "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_load_5d(void* smem, const TensorMap& map, Mbarrier* barrier,
                                            CachePolicy policy, int c0, int c1, int c2, int c3,
                                            int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".L2::cache_hint [%0], [%1, {%3, %4, %5, %6, %7}], [%2], %8;" ::"r"(shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4),
      "l"(detail::bits_of(policy))
      : "memory");
}

// ---- Loads of boxes for several blocks of a cluster ----

// The box lands at the same place in the shared memory of every block whose bit is set in `blocks`,
// and reports to the barrier at the same place there.

__device__ __forceinline__ void tma_load_2d_multicast(void* smem, const TensorMap& map,
                                                      Mbarrier* barrier, unsigned short blocks,
                                                      CachePolicy policy, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster.L2::cache_hint [%0], [%1, {%3, %4}], [%2], %5, %6;" ::"r"(
          shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "h"(blocks),
      "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_load_3d_multicast(void* smem, const TensorMap& map,
                                                      Mbarrier* barrier, unsigned short blocks,
                                                      CachePolicy policy, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster.L2::cache_hint [%0], [%1, {%3, %4, %5}], [%2], %6, %7;" ::"r"(
          shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "h"(blocks),
      "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_load_4d_multicast(void* smem, const TensorMap& map,
                                                      Mbarrier* barrier, unsigned short blocks,
                                                      CachePolicy policy, int c0, int c1, int c2,
                                                      int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster.L2::cache_hint [%0], [%1, {%3, %4, %5, %6}], [%2], %7, %8;" ::"r"(
          shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "h"(blocks),
      "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_load_5d_multicast(void* smem, const TensorMap& map,
                                                      Mbarrier* barrier, unsigned short blocks,
                                                      CachePolicy policy, int c0, int c1, int c2,
                                                      int c3, int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster.L2::cache_hint [%0], [%1, {%3, %4, %5, %6, %7}], [%2], %8, %9;" ::"r"(
          shared_address(smem)),
      "l"(&map), "r"(shared_address(barrier)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4),
      "h"(blocks), "l"(detail::bits_of(policy))
      : "memory");
}

// ---- Loads of contiguous bytes ----

// Requires: both addresses and `bytes` multiples of 16.
__device__ __forceinline__ void bulk_load(void* smem, const void* global, unsigned int bytes,
                                          Mbarrier* barrier, CachePolicy policy) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint"
      " [%0], [%1], %2, [%3], %4;" ::"r"(shared_address(smem)),
      "l"(global), "r"(bytes), "r"(shared_address(barrier)), "l"(detail::bits_of(policy))
      : "memory");
}

// ---- Stores ----

// Part of the thread's open bulk group, which bulk_commit_group closes.

__device__ __forceinline__ void tma_store_1d(const TensorMap& map, const void* smem,
                                             CachePolicy policy, int c0) {
  asm volatile(
      "cp.async.bulk.tensor.1d.global.shared::cta.tile.bulk_group.L2::cache_hint"
      " [%0, {%2}], [%1], %3;" ::"l"(&map),
      "r"(shared_address(smem)), "r"(c0), "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_store_2d(const TensorMap& map, const void* smem,
                                             CachePolicy policy, int c0, int c1) {
  asm volatile(
      "cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group.L2::cache_hint"
      " [%0, {%2, %3}], [%1], %4;" ::"l"(&map),
      "r"(shared_address(smem)), "r"(c0), "r"(c1), "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_store_3d(const TensorMap& map, const void* smem,
                                             CachePolicy policy, int c0, int c1, int c2) {
  asm volatile(
      "cp.async.bulk.tensor.3d.global.shared::cta.tile.bulk_group.L2::cache_hint"
      " [%0, {%2, %3, %4}], [%1], %5;" ::"l"(&map),
      "r"(shared_address(smem)), "r"(c0), "r"(c1), "r"(c2), "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_store_4d(const TensorMap& map, const void* smem,
                                             CachePolicy policy, int c0, int c1, int c2, int c3) {
  asm volatile(
      "cp.async.bulk.tensor.4d.global.shared::cta.tile.bulk_group.L2::cache_hint"
      " [%0, {%2, %3, %4, %5}], [%1], %6;" ::"l"(&map),
      "r"(shared_address(smem)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "l"(detail::bits_of(policy))
      : "memory");
}
__device__ __forceinline__ void tma_store_5d(const TensorMap& map, const void* smem,
                                             CachePolicy policy, int c0, int c1, int c2, int c3,
                                             int c4) {
  asm volatile(
      "cp.async.bulk.tensor.5d.global.shared::cta.tile.bulk_group.L2::cache_hint"
      " [%0, {%2, %3, %4, %5, %6}], [%1], %7;" ::"l"(&map),
      "r"(shared_address(smem)), "r"(c0), "r"(c1), "r"(c2), "r"(c3), "r"(c4),
      "l"(detail::bits_of(policy))
      : "memory");
}

// Requires: both addresses and `bytes` multiples of 16.
__device__ __forceinline__ void bulk_store(void* global, const void* smem, unsigned int bytes,
                                           CachePolicy policy) {
  asm volatile(
      "cp.async.bulk.global.shared::cta.bulk_group.L2::cache_hint [%0], [%1], %2, %3;" ::"l"(
          global),
      "r"(shared_address(smem)), "r"(bytes), "l"(detail::bits_of(policy))
      : "memory");
}

__device__ __forceinline__ void bulk_commit_group() {
  asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

// Returns when at most PENDING of the thread's latest groups are not done: what the others wrote is
// visible to this thread.
template <int PENDING>
__device__ __forceinline__ void bulk_wait_group() {
  asm volatile("cp.async.bulk.wait_group %0;" ::"n"(PENDING) : "memory");
}

// Returns when all but PENDING have read their shared memory, which may be written again then.
template <int PENDING>
__device__ __forceinline__ void bulk_wait_group_read() {
  asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(PENDING) : "memory");
}

}  // namespace cubinet
