/* The C interface of paged_mqa_logits_metadata; "jit/c.h" includes it. */
#ifndef CUBINET_JIT_KERNELS_PAGED_MQA_LOGITS_METADATA_H
#define CUBINET_JIT_KERNELS_PAGED_MQA_LOGITS_METADATA_H

#include "jit/c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The fields of jit::kernels::PagedMqaLogitsMetadataArgs, where shapes are explained. */
typedef struct cubinet_paged_mqa_logits_metadata_args {
  size_t struct_bytes;
  int64_t batch;
  int64_t next_n; /* 0: 1 */
  int64_t max_context_len;
  int64_t num_workers;         /* 0: the device's multiprocessors */
  const int32_t* context_lens; /* [batch, next_n] */
  int32_t* schedule;           /* [num_workers + 1, 2] */
  int32_t in_order;            /* 1: not as a programmatic dependent of the preceding kernel */
  int32_t reserved;            /* 0 */
} cubinet_paged_mqa_logits_metadata_args;

CUBINET_API cubinet_status cubinet_paged_mqa_logits_metadata(
    cubinet_runtime* runtime, const cubinet_paged_mqa_logits_metadata_args* args,
    cubinet_stream stream) CUBINET_NOEXCEPT;

CUBINET_DEFINE_INIT(cubinet_paged_mqa_logits_metadata_args)

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_KERNELS_PAGED_MQA_LOGITS_METADATA_H */
