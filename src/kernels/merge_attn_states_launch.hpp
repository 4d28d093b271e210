// A launch of merge_attn_states with a kernel that the caller chose.
#pragma once

#include "jit/kernels/merge_attn_states.hpp"

namespace jit::inline v1::kernels {

// As merge_attn_states. Requires: `kernel` is one of that template for the constants that follow
// from `args`, whatever its tunables.
void launch_merge_attn_states(const Kernel& kernel, const MergeAttnStatesArgs& args, Stream stream);

}  // namespace jit::inline v1::kernels
