/* The C interface of mla_prefill and its chain with context; "jit/c.h" includes it. */
#ifndef CUBINET_JIT_KERNELS_MLA_PREFILL_H
#define CUBINET_JIT_KERNELS_MLA_PREFILL_H

#include "jit/c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The fields of jit::kernels::MlaPrefillArgs, where shapes and results are explained. */
typedef struct cubinet_mla_prefill_args {
  size_t struct_bytes;
  int64_t num_sequences;
  int64_t num_query_tokens;
  int64_t num_key_tokens; /* 0 without cu_seqlens_k: num_query_tokens */
  int64_t num_heads;
  int64_t num_kv_heads;        /* 0: num_heads; else a divisor of it */
  int64_t head_dim;            /* 0: 192; with head_dim_v 192, 128; 128, 128; or 64, 64 */
  int64_t head_dim_v;          /* 0: 128 */
  const void* q;               /* [num_query_tokens, num_heads, head_dim] bf16 */
  const void* k;               /* [num_key_tokens, num_kv_heads, head_dim, less 64 with k_rope] */
  const void* v;               /* [num_key_tokens, num_kv_heads, head_dim_v] */
  const void* k_rope;          /* [num_key_tokens, 64]; optional */
  const int32_t* cu_seqlens_q; /* [num_sequences + 1] */
  const int32_t* cu_seqlens_k; /* [num_sequences + 1]; optional: cu_seqlens_q */
  void* output;                /* [num_query_tokens, num_heads, head_dim_v] */
  float* lse;                  /* [num_heads, num_query_tokens]; optional */
  const float* output_scale;   /* one element on the device; optional: makes the output e4m3 */
  float* output_group_scales;  /* one per group of a token; optional: makes the output e4m3 */
  uint32_t* work_counters;     /* two; optional */
  int64_t q_token_stride;      /* in elements, as all strides; 0: without gaps */
  int64_t q_head_stride;
  int64_t k_token_stride;
  int64_t k_head_stride;
  int64_t v_token_stride;
  int64_t v_head_stride;
  int64_t k_rope_token_stride;
  int64_t output_token_stride;
  int64_t output_head_stride;
  int64_t output_group_size;         /* 64 or 128; 0: no groups */
  int64_t output_scale_token_stride; /* both 0: row-major */
  int64_t output_scale_group_stride;
  int64_t num_workers;       /* 0: the device's multiprocessors */
  float softmax_scale;       /* 0: head_dim^-0.5 */
  cubinet_dtype output_type; /* 0: CUBINET_BF16; or CUBINET_F16, CUBINET_F32; not asked for e4m3 */
  int32_t not_causal;        /* 1: every query sees all keys of its sequence */
  int32_t use_ue8m0_scales;  /* 1: scales of groups are powers of two */
  int32_t in_order;          /* 1: not as a programmatic dependent of the preceding kernel */
  int32_t reserved;          /* 0 */
} cubinet_mla_prefill_args;

CUBINET_API cubinet_status cubinet_mla_prefill(cubinet_runtime* runtime,
                                               const cubinet_mla_prefill_args* args,
                                               cubinet_stream stream) CUBINET_NOEXCEPT;

/* The fields of jit::kernels::MlaContextChunk: keys before the new tokens of every sequence. Never
 * grows, since chunks come in arrays. */
typedef struct cubinet_mla_context_chunk {
  int64_t num_key_tokens;
  const void* k;
  const void* v;
  const void* k_rope;          /* optional, whatever the new tokens have */
  const int32_t* cu_seqlens_k; /* [num_sequences + 1] */
  int64_t k_token_stride;      /* in elements; 0: without gaps */
  int64_t k_head_stride;
  int64_t v_token_stride;
  int64_t v_head_stride;
  int64_t k_rope_token_stride;
} cubinet_mla_context_chunk;

/* Bytes of workspace for these operands and as many chunks; 0 without chunks. */
CUBINET_API cubinet_status cubinet_mla_prefill_workspace_bytes(const cubinet_mla_prefill_args* args,
                                                               size_t chunk_count,
                                                               int64_t* bytes) CUBINET_NOEXCEPT;
/* New tokens after a context in chunks, which may be NULL if there are none: as
 * jit::kernels::mla_prefill_with_context. */
CUBINET_API cubinet_status cubinet_mla_prefill_with_context(cubinet_runtime* runtime,
                                                            const cubinet_mla_prefill_args* args,
                                                            const cubinet_mla_context_chunk* chunks,
                                                            size_t chunk_count, void* workspace,
                                                            cubinet_stream stream) CUBINET_NOEXCEPT;

CUBINET_DEFINE_INIT(cubinet_mla_prefill_args)

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_KERNELS_MLA_PREFILL_H */
