// A launch of paged_mqa_logits with a kernel that the caller chose.
#pragma once

#include "jit/kernels/paged_mqa_logits.hpp"
#include "kernels/mqa_launch.hpp"

namespace jit::inline v1::kernels {

// As paged_mqa_logits. Requires: `kernel` is one of that template for the constants that follow
// from `args`, whatever its tunables; args.num_workers is not 0.
void launch_paged_mqa_logits(TensorMapSource& maps, const Kernel& kernel,
                             const PagedMqaLogitsArgs& args, Stream stream);

}  // namespace jit::inline v1::kernels
