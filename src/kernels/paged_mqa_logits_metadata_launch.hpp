// A launch of paged_mqa_logits_metadata with a kernel that the caller chose.
#pragma once

#include "jit/kernels/paged_mqa_logits.hpp"

namespace jit::inline v1::kernels {

// As paged_mqa_logits_metadata, without its checks. Requires: `kernel` is one of that template,
// whatever its tunables; num_workers is given.
void launch_paged_mqa_logits_metadata(const Kernel& kernel, const PagedMqaLogitsMetadataArgs& args,
                                      Stream stream);

}  // namespace jit::inline v1::kernels
