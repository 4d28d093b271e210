/* The C interface of paged_mqa_logits; "jit/c.h" includes it. */
#ifndef CUBINET_JIT_KERNELS_PAGED_MQA_LOGITS_H
#define CUBINET_JIT_KERNELS_PAGED_MQA_LOGITS_H

#include "jit/c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The fields of jit::kernels::PagedMqaLogitsArgs, where shapes and results are explained. */
typedef struct cubinet_paged_mqa_logits_args {
  size_t struct_bytes;
  int64_t batch;
  int64_t next_n;     /* 0: 1; to 6 */
  int64_t num_heads;  /* 16, 32 or 64 */
  int64_t head_dim;   /* 0: 128; 32, 64 or 128 */
  int64_t block_kv;   /* 0: 64; 32 or 64 */
  int64_t num_blocks; /* of the cache */
  int64_t max_context_len;
  const void* query;           /* [batch, next_n, num_heads, head_dim] e4m3 */
  const void* kv_cache;        /* [num_blocks, block_kv * (head_dim + 4)] bytes */
  const float* weights;        /* [batch * next_n, num_heads] */
  const int32_t* context_lens; /* [batch, next_n] */
  const int32_t* block_table;  /* [batch, blocks of the longest context] */
  const int32_t* schedule;     /* [num_workers + 1, 2]; optional */
  void* logits;                /* [batch * next_n, max_context_len] logits_type */
  int64_t block_stride;        /* in bytes; 0: block_kv * (head_dim + 4) */
  int64_t block_table_stride;  /* in entries; 0: ceil(max_context_len / block_kv) */
  int64_t logits_stride;       /* in elements; 0: max_context_len */
  int64_t num_workers;         /* 0: the device's multiprocessors */
  cubinet_dtype logits_type;   /* 0: CUBINET_F32; or CUBINET_BF16 */
  int32_t clean_logits;        /* 1: write -inf from each length to max_context_len */
  int32_t in_order;            /* 1: not as a programmatic dependent of the preceding kernel */
  int32_t reserved;            /* 0 */
} cubinet_paged_mqa_logits_args;

CUBINET_API cubinet_status cubinet_paged_mqa_logits(cubinet_runtime* runtime,
                                                    const cubinet_paged_mqa_logits_args* args,
                                                    cubinet_stream stream) CUBINET_NOEXCEPT;

CUBINET_DEFINE_INIT(cubinet_paged_mqa_logits_args)

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_KERNELS_PAGED_MQA_LOGITS_H */
