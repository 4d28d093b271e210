/* The C interface of tensor maps; "jit/c.h" includes it. */
#ifndef CUBINET_JIT_TENSOR_MAP_H
#define CUBINET_JIT_TENSOR_MAP_H

#include "jit/c.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef int32_t cubinet_swizzle; /* how a box lies in shared memory */
enum {
  CUBINET_SWIZZLE_NONE = 0,
  CUBINET_SWIZZLE_32_BYTES = 1,
  CUBINET_SWIZZLE_64_BYTES = 2,
  CUBINET_SWIZZLE_128_BYTES = 3
};

typedef int32_t cubinet_l2_promotion; /* what a read brings into the L2 at least */
enum {
  CUBINET_L2_PROMOTION_DEFAULT = 0, /* 256 bytes */
  CUBINET_L2_PROMOTION_NONE = 1,
  CUBINET_L2_PROMOTION_64_BYTES = 2,
  CUBINET_L2_PROMOTION_128_BYTES = 3,
  CUBINET_L2_PROMOTION_256_BYTES = 4
};

typedef int32_t cubinet_out_of_bounds; /* what a box holds beyond the tensor */
enum { CUBINET_OUT_OF_BOUNDS_ZERO = 0, CUBINET_OUT_OF_BOUNDS_NAN = 1 };

/* The fields of jit::TensorMapSpec, where the hardware's rules are. Dimension 0 is the innermost;
 * entries from rank on say nothing. */
typedef struct cubinet_tensor_map_spec {
  size_t struct_bytes;
  const void* address;         /* device memory, a multiple of 16 */
  uint64_t sizes[5];           /* in elements */
  uint64_t strides[4];         /* in bytes, of dimension 1 and up */
  uint32_t box[5];             /* in elements */
  uint32_t element_strides[5]; /* 0: 1 */
  uint32_t rank;               /* 1 to 5 */
  cubinet_dtype type;          /* 8-bit types all count as bytes */
  cubinet_swizzle swizzle;
  cubinet_l2_promotion l2_promotion;
  cubinet_out_of_bounds out_of_bounds;
  int32_t reserved; /* 0 */
} cubinet_tensor_map_spec;

/* The driver's own bits, CUtensorMap: a member of the Params struct of a kernel that has a
 * cubinet::TensorMap there. Never grows. */
typedef struct cubinet_tensor_map {
  uint64_t words[16] __attribute__((aligned(64)));
} cubinet_tensor_map;

/* Makes the tensor map, or finds the one of an equal spec: as jit::make_tensor_map. */
CUBINET_API cubinet_status cubinet_make_tensor_map(cubinet_runtime* runtime,
                                                   const cubinet_tensor_map_spec* spec,
                                                   cubinet_tensor_map* map) CUBINET_NOEXCEPT;

CUBINET_DEFINE_INIT(cubinet_tensor_map_spec)

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_TENSOR_MAP_H */
