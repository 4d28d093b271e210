// A launch of mqa_logits with a kernel that the caller chose.
#pragma once

#include "jit/kernels/mqa_logits.hpp"
#include "kernels/mqa_launch.hpp"

namespace jit::inline v1::kernels {

// As mqa_logits. Requires: `kernel` is one of that template for the constants that follow from
// `args`, whatever its tunables; args.num_workers is not 0.
void launch_mqa_logits(TensorMapSource& maps, const Kernel& kernel, const MqaLogitsArgs& args,
                       Stream stream);

}  // namespace jit::inline v1::kernels
