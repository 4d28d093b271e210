// common/tma.cuh on the host: copies that are counted and told to the test, and move nothing. The
// first word of a map here are the bytes of its box.
#pragma once

#include "common/mbarrier.cuh"
#include "common/tensor_map.h"

namespace cubinet {

enum class CachePolicy { kEvictNormal, kEvictFirst, kEvictLast };

inline void load_on_host(void* smem, const void* from, Mbarrier* barrier, unsigned long long bytes,
                         int c0, int c1) {
  if (barrier->state < bytes) throw std::logic_error("load: more bytes than were announced");
  barrier->state -= bytes;
  LoadWatch::current()->loaded(from, c0, c1, smem, barrier);
}

inline void tma_load_1d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0) {
  load_on_host(smem, &map, barrier, map.words[0], c0, 0);
}
inline void tma_load_2d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0,
                        int c1) {
  load_on_host(smem, &map, barrier, map.words[0], c0, c1);
}
// Told without its second coordinate.
inline void tma_load_3d(void* smem, const TensorMap& map, Mbarrier* barrier, CachePolicy, int c0,
                        int, int c2) {
  load_on_host(smem, &map, barrier, map.words[0], c0, c2);
}
inline void bulk_load(void* smem, const void* global, unsigned int bytes, Mbarrier* barrier,
                      CachePolicy) {
  if (bytes % 16 != 0) throw std::logic_error("load: no multiple of 16 bytes");
  load_on_host(smem, global, barrier, bytes, 0, 0);
}

}  // namespace cubinet
