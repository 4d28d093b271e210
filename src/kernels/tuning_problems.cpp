// The shipped templates that can be tuned.
#include "runtime/tuning_problems.hpp"

#include <array>

#include "kernels/merge_attn_states_tuning.hpp"

namespace jit::inline v1 {

std::span<const ShippedTuningProblem> shipped_tuning_problems() {
  static constexpr std::array<ShippedTuningProblem, 1> kShipped{
      {{"merge_attn_states", make_merge_attn_states_problem}}};
  return kShipped;
}

}  // namespace jit::inline v1
