// The shipped templates that can be tuned.
#include "runtime/tuning_problems.hpp"

#include <array>

#include "kernels/fp8_attention_tuning.hpp"
#include "kernels/merge_attn_states_tuning.hpp"
#include "kernels/mla_prefill_tuning.hpp"
#include "kernels/mqa_tuning.hpp"
#include "kernels/paged_mqa_logits_metadata_tuning.hpp"
#include "kernels/paged_mqa_tuning.hpp"

namespace jit::inline v1 {

std::span<const ShippedTuningProblem> shipped_tuning_problems() {
  static constexpr std::array<ShippedTuningProblem, 6> kShipped{
      {{"fp8_attention", make_fp8_attention_problem},
       {"merge_attn_states", make_merge_attn_states_problem},
       {"mla_prefill", make_mla_prefill_problem},
       {"mqa_logits", make_mqa_logits_problem},
       {"paged_mqa_logits", make_paged_mqa_logits_problem},
       {"paged_mqa_logits_metadata", make_paged_mqa_logits_metadata_problem}}};
  return kShipped;
}

}  // namespace jit::inline v1
