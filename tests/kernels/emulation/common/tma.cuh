// common/tma.cuh on the host: copies that are counted and told to the test, and move nothing. The
// first word of a map here are the bytes of its box. With a Machine they move: the second word is
// the address of the tensor's TensorMapSpec.
#pragma once

#include "common/mbarrier.cuh"
#include "common/tensor_map.h"
#include "gpu/tensor_box.hpp"

namespace cubinet {

enum class CachePolicy { kEvictNormal, kEvictFirst, kEvictLast };

inline void load_on_host(void* smem, const void* from, Mbarrier* barrier, unsigned long long bytes,
                         int c0, int c1) {
  if (barrier->state < bytes) throw std::logic_error("load: more bytes than were announced");
  barrier->state -= bytes;
  LoadWatch::current()->loaded(from, c0, c1, smem, barrier);
}

inline void tma_load_on_machine(void* smem, const TensorMap& map, Mbarrier* barrier,
                                const ::jit::test::Coordinates& at) {
  namespace test = ::jit::test;
  const auto* const spec = std::bit_cast<const ::jit::TensorMapSpec*>(map.words[1]);
  auto* const to = static_cast<unsigned char*>(smem);
  const auto bytes = static_cast<unsigned>(test::box_bytes(*spec));
  // Chunks are exchanged as addresses say: boxes of less than a repeat may begin within one.
  const std::size_t phase = std::bit_cast<std::uintptr_t>(to) % 1024;
  if (phase % std::min(bytes, 1024u) != 0 || phase % 128 != 0) {
    throw std::logic_error("load: not aligned");
  }
  test::Machine::current()->load(barrier, bytes, [to, at, spec, phase] {
    const auto* const tensor = static_cast<const unsigned char*>(spec->address);
    const std::size_t size = ::jit::bytes_of(spec->type);
    std::size_t straight = phase;
    for (const test::BoxElement& element : test::elements_of(*spec, at)) {
      unsigned char* const own = to + (test::swizzled(spec->swizzle, straight) - phase);
      straight += size;
      if (element.in_tensor) {
        std::memcpy(own, tensor + *element.in_tensor, size);
      } else {
        std::memset(own, 0, size);
      }
    }
  });
}

inline void prefetch_tensor_map(const TensorMap&) {}

inline void tma_load_1d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0) {
  load_on_host(smem, &map, barrier, map.words[0], c0, 0);
}
inline void tma_load_2d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0,
                        int c1) {
  if (::jit::test::Machine::current() != nullptr) {
    return tma_load_on_machine(smem, map, barrier, {c0, c1});
  }
  load_on_host(smem, &map, barrier, map.words[0], c0, c1);
}
// Told without its second coordinate.
inline void tma_load_3d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0,
                        int, int c2) {
  load_on_host(smem, &map, barrier, map.words[0], c0, c2);
}
inline void tma_load_4d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0,
                        int c1, int c2, int c3) {
  tma_load_on_machine(smem, map, barrier, {c0, c1, c2, c3});
}
inline void tma_load_5d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0,
                        int c1, int c2, int c3, int c4) {
  tma_load_on_machine(smem, map, barrier, {c0, c1, c2, c3, c4});
}
inline void bulk_load(void* smem, const void* global, unsigned int bytes, Mbarrier* barrier,
                      CachePolicy) {
  if (bytes % 16 != 0) throw std::logic_error("load: no multiple of 16 bytes");
  load_on_host(smem, global, barrier, bytes, 0, 0);
}

}  // namespace cubinet
