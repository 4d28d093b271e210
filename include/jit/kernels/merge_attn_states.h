/* The C interface of merge_attn_states; "jit/c.h" includes it. */
#ifndef CUBINET_JIT_KERNELS_MERGE_ATTN_STATES_H
#define CUBINET_JIT_KERNELS_MERGE_ATTN_STATES_H

#include "jit/c.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The fields of jit::kernels::MergeAttnStatesArgs, where shapes and edge cases are explained. */
typedef struct cubinet_merge_attn_states_args {
  size_t struct_bytes;
  int64_t num_tokens;
  int64_t num_heads;
  int64_t head_size;
  const void* prefix_output;  /* [num_tokens, num_heads, head_size] input_type */
  const void* suffix_output;  /* [num_tokens, num_heads, head_size] input_type */
  const float* prefix_lse;    /* [num_heads, num_tokens] */
  const float* suffix_lse;    /* [num_heads, num_tokens] */
  void* output;               /* [num_tokens, num_heads, head_size] */
  float* output_lse;          /* [num_heads, num_tokens]; optional */
  const float* output_scale;  /* one element on the device; optional: makes the output e4m3 */
  float* output_group_scales; /* one per group of a token; optional: makes the output e4m3 */
  int64_t output_group_size;  /* 64 or 128; 0: no groups */
  int64_t output_scale_token_stride; /* in elements; both 0: row-major */
  int64_t output_scale_group_stride;
  int64_t input_head_stride; /* in elements; 0: head_size */
  int64_t output_head_stride;
  int64_t num_context_tokens;     /* read where has_num_context_tokens is 1 */
  int32_t has_num_context_tokens; /* 0: all tokens have a prefix */
  cubinet_dtype input_type;       /* CUBINET_F32, CUBINET_F16 or CUBINET_BF16 */
  int32_t use_ue8m0_scales;       /* 1: scales of groups are powers of two */
  int32_t programmatic_dependent;
} cubinet_merge_attn_states_args;

CUBINET_API cubinet_status cubinet_merge_attn_states(cubinet_runtime* runtime,
                                                     const cubinet_merge_attn_states_args* args,
                                                     cubinet_stream stream) CUBINET_NOEXCEPT;

CUBINET_DEFINE_INIT(cubinet_merge_attn_states_args)

#ifdef __cplusplus
}
#endif

#endif /* CUBINET_JIT_KERNELS_MERGE_ATTN_STATES_H */
