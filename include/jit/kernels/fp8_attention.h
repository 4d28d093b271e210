/* The C interface of fp8_attention; "jit/c.h" includes it. */
#ifndef CUBINET_JIT_KERNELS_FP8_ATTENTION_H
#define CUBINET_JIT_KERNELS_FP8_ATTENTION_H

#include "jit/c.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CUBINET_ACCUM_AT_THE_END (-1)

/* The fields of jit::kernels::Fp8AttentionArgs, where shapes, masks and results are explained. */
typedef struct cubinet_fp8_attention_args {
  size_t struct_bytes;
  int64_t num_sequences;
  int64_t num_query_tokens;
  int64_t num_key_tokens; /* 0 without cu_seqlens_k: num_query_tokens; not asked for with pages */
  int64_t num_heads;
  int64_t num_kv_heads;        /* 0: num_heads; else a divisor of it */
  int64_t head_dim;            /* 0: 128; or 64, 96, 192, 256 */
  int64_t head_dim_v;          /* 0: head_dim; or 128 with head_dim 192 */
  int64_t max_pages;           /* columns of page_table */
  int64_t num_pages;           /* of k and v */
  int64_t page_size;           /* tokens of a page */
  int64_t max_query_tokens;    /* of a sequence, or more; 0: num_query_tokens */
  int64_t max_key_tokens;      /* the same of keys; 0: all there may be */
  const void* q;               /* [num_query_tokens, num_heads, head_dim] e4m3 */
  const void* k;               /* [num_key_tokens, num_kv_heads, head_dim] */
  const void* v;               /* [num_key_tokens, num_kv_heads, head_dim_v] */
  const int32_t* cu_seqlens_q; /* [num_sequences + 1] */
  const int32_t* cu_seqlens_k; /* [num_sequences + 1]; optional: cu_seqlens_q; not with pages */
  const int32_t* seqused_q;    /* [num_sequences]; optional */
  const int32_t* seqused_k;    /* [num_sequences]; optional, but for pages */
  const int32_t* page_table;   /* [num_sequences, max_pages]; optional: k and v are [num_pages,
                                  page_size, num_kv_heads, head_dim] then */
  const float* q_descale;      /* per sequence and key head, by the strides below; optional: 1 */
  const float* k_descale;
  const float* v_descale;
  const void* sinks;         /* [num_heads] bf16; optional */
  void* output;              /* [num_query_tokens, num_heads, head_dim_v] bf16 */
  float* lse;                /* [num_heads, num_query_tokens]; optional */
  const float* output_scale; /* one element on the device; optional: makes the output e4m3 */
  uint32_t* work_counters;   /* two; optional */
  void* workspace;           /* optional: without it the keys are not split */
  int64_t q_token_stride;    /* in elements, as all strides; 0: without gaps */
  int64_t q_head_stride;
  int64_t k_page_stride;
  int64_t k_token_stride;
  int64_t k_head_stride;
  int64_t v_page_stride;
  int64_t v_token_stride;
  int64_t v_head_stride;
  int64_t output_token_stride;
  int64_t output_head_stride;
  int64_t page_table_stride;         /* from sequence to sequence */
  int64_t q_descale_sequence_stride; /* of descales 0 is one factor for all */
  int64_t q_descale_head_stride;
  int64_t k_descale_sequence_stride;
  int64_t k_descale_head_stride;
  int64_t v_descale_sequence_stride;
  int64_t v_descale_head_stride;
  int64_t workspace_bytes;
  int64_t window_left;      /* only with has_window_left */
  int64_t window_right;     /* only with has_window_right */
  int64_t accum_interval;   /* key tiles, up to 64; 0: 1; or CUBINET_ACCUM_AT_THE_END */
  int64_t pack_gqa;         /* 1, 4, 8 or 16; 0: the most that divides heads per key head */
  int64_t num_splits;       /* 0: as many as keep the GPU busy; 1: none */
  int64_t num_workers;      /* 0: as many as fit */
  float softmax_scale;      /* 0: head_dim^-0.5 */
  float softcap;            /* 0: without */
  int32_t not_causal;       /* 1: every query sees all keys of its sequence, but for windows */
  int32_t has_window_left;  /* 1: at most window_left keys before a query's own place */
  int32_t has_window_right; /* 1: at most window_right keys after it */
  int32_t invariant;        /* 1: a token gets the same bits in decode as in prefill; no splits */
  int32_t in_order;         /* 1: not as a programmatic dependent of the preceding kernel */
  int32_t reserved;         /* 0 */
} cubinet_fp8_attention_args;

CUBINET_API cubinet_status cubinet_fp8_attention(cubinet_runtime* runtime,
                                                 const cubinet_fp8_attention_args* args,
                                                 cubinet_stream stream) CUBINET_NOEXCEPT;
/* Bytes of workspace with which these operands' keys are split as they should be on a GPU of
 * `multiprocessors`; 0 of them: on the current device, which `runtime` is asked for and may be NULL
 * otherwise. *bytes is 0 where the keys are not split. */
CUBINET_API cubinet_status cubinet_fp8_attention_workspace_bytes(
    cubinet_runtime* runtime, const cubinet_fp8_attention_args* args, int64_t multiprocessors,
    int64_t* bytes) CUBINET_NOEXCEPT;

CUBINET_DEFINE_INIT(cubinet_fp8_attention_args)

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_KERNELS_FP8_ATTENTION_H */
