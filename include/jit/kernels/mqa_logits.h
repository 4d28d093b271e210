/* The C interface of mqa_logits; "jit/c.h" includes it. */
#ifndef CUBINET_JIT_KERNELS_MQA_LOGITS_H
#define CUBINET_JIT_KERNELS_MQA_LOGITS_H

#include "jit/c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The fields of jit::kernels::MqaLogitsArgs, where shapes and results are explained. */
typedef struct cubinet_mqa_logits_args {
  size_t struct_bytes;
  int64_t num_tokens;
  int64_t num_keys;
  int64_t num_heads;         /* 16, 32 or 64 */
  int64_t head_dim;          /* 0: 128; 32, 64 or 128 */
  const void* query;         /* [num_tokens, num_heads, head_dim] e4m3 */
  const void* keys;          /* [num_keys, head_dim] e4m3 */
  const float* key_scales;   /* [num_keys] */
  const float* weights;      /* [num_tokens, num_heads] */
  const int32_t* starts;     /* [num_tokens] */
  const int32_t* ends;       /* [num_tokens] */
  void* logits;              /* [num_tokens, logits_width] logits_type */
  int64_t logits_width;      /* in elements; 0: num_keys */
  int64_t logits_stride;     /* in elements; 0: logits_width */
  int64_t num_workers;       /* 0: the device's multiprocessors */
  cubinet_dtype logits_type; /* 0: CUBINET_F32; or CUBINET_BF16 */
  int32_t compressed_logits; /* 1: column 0 of a row is the first key of its range */
  int32_t clean_logits;      /* 1: write -inf beside each row's range */
  int32_t in_order;          /* 1: not as a programmatic dependent of the preceding kernel */
} cubinet_mqa_logits_args;

CUBINET_API cubinet_status cubinet_mqa_logits(cubinet_runtime* runtime,
                                              const cubinet_mqa_logits_args* args,
                                              cubinet_stream stream) CUBINET_NOEXCEPT;

CUBINET_DEFINE_INIT(cubinet_mqa_logits_args)

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_KERNELS_MQA_LOGITS_H */
