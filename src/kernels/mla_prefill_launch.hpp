// A launch of mla_prefill in two steps: the kernel, and its launch.
#pragma once

#include "jit/kernels/mla_prefill.hpp"
#include "kernels/tensor_maps.hpp"

namespace jit::inline v1::kernels {

// The kernel that mla_prefill launches for these operands. Requires: shapes that it takes.
Kernel mla_prefill_kernel(Runtime& runtime, const MlaPrefillArgs& args);

// As mla_prefill. Requires: `kernel` is one of that template for the constants that follow from
// `args`, whatever its tunables; args.num_workers is not 0.
void launch_mla_prefill(TensorMapSource& maps, const Kernel& kernel, const MlaPrefillArgs& args,
                        Stream stream);

}  // namespace jit::inline v1::kernels
