// A model of mla_prefill on the host, row by row in fp32 with tiles of keys as the kernel has them.
#pragma once

#include "gpu/mla_prefill_case.hpp"
#include "kernels/mla_prefill_fault.hpp"

namespace jit::test {

// What the GPU would have left behind.
MlaOutcome run_model(const MlaCase& mla, const MlaInputs& inputs, MlaFault fault = MlaFault::kNone);

}  // namespace jit::test
