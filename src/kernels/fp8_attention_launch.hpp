// fp8_attention in steps: its kernels, and their launches.
#pragma once

#include <cstdint>

#include "jit/kernels/fp8_attention.hpp"
#include "kernels/tensor_maps.hpp"

namespace jit::inline v1::kernels {

// All three: operands that fp8_attention takes, args.num_splits not 0.
//
// The kernel that fp8_attention launches for these operands.
Kernel fp8_attention_kernel(Runtime& runtime, const Fp8AttentionArgs& args);
// The kernel that joins the parts of args.num_splits > 1.
Kernel attention_combine_kernel(Runtime& runtime, const Fp8AttentionArgs& args);

// How many blocks of a kernel of fp8_attention `multiprocessors` hold at a time.
std::int64_t fp8_attention_workers(const KernelInfo& info, std::int64_t multiprocessors);

// The first launch of fp8_attention: all of it with one split; else the parts, into the workspace.
// Requires: `kernel` is one of that template for the constants that follow from `args`, whatever
// its tunables; args.num_splits and args.num_workers are not 0.
void launch_fp8_attention(TensorMapSource& maps, const Kernel& kernel, const Fp8AttentionArgs& args,
                          Stream stream);

// The second launch, of attention_combine. Requires: args.num_splits > 1.
void launch_attention_combine(const Kernel& kernel, const Fp8AttentionArgs& args, Stream stream);

}  // namespace jit::inline v1::kernels
