// A launch of merge_attn_states in two steps: the kernel, and its launch.
#pragma once

#include "jit/kernels/merge_attn_states.hpp"

namespace jit::inline v1::kernels {

// The kernel that merge_attn_states launches for these operands. Requires: shapes that it takes.
Kernel merge_attn_states_kernel(Runtime& runtime, const MergeAttnStatesArgs& args);

// As merge_attn_states. Requires: `kernel` is one of that template for the constants that follow
// from `args`, whatever its tunables.
void launch_merge_attn_states(const Kernel& kernel, const MergeAttnStatesArgs& args, Stream stream);

}  // namespace jit::inline v1::kernels
