/* Includes the C interface both ways round, as C and as C++. */
#include "jit/kernels/fp8_attention.h"
#include "jit/kernels/merge_attn_states.h"
#include "jit/kernels/mla_prefill.h"
#include "jit/kernels/mqa_logits.h"
#include "jit/kernels/paged_mqa_logits.h"
#include "jit/kernels/paged_mqa_logits_metadata.h"

#include "jit/c.h"

static inline size_t all_defaults(void) {
  return cubinet_runtime_options_init().struct_bytes + cubinet_stats_init().struct_bytes +
         cubinet_request_init().struct_bytes + cubinet_precompile_report_init().struct_bytes +
         cubinet_kernel_info_init().struct_bytes + cubinet_launch_config_init().struct_bytes +
         cubinet_warm_up_report_init().struct_bytes +
         cubinet_fp8_attention_args_init().struct_bytes +
         cubinet_merge_attn_states_args_init().struct_bytes +
         cubinet_mla_prefill_args_init().struct_bytes +
         cubinet_mqa_logits_args_init().struct_bytes +
         cubinet_paged_mqa_logits_args_init().struct_bytes +
         cubinet_paged_mqa_logits_metadata_args_init().struct_bytes +
         cubinet_tensor_map_spec_init().struct_bytes;
}
