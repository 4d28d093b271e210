// MergeDevice: the operands of a case on the GPU.
#pragma once

#include "gpu/gpu.hpp"
#include "gpu/merge_case.hpp"
#include "jit/kernels/merge_attn_states.hpp"

namespace jit::test {

class MergeDevice {
 public:
  // Uploads the inputs and poisons the outputs; returns when all of it is there.
  MergeDevice(Driver& driver, const MergeCase& merge, const MergeInputs& inputs);

  kernels::MergeAttnStatesArgs args() const;
  MergeOutcome download() const;

 private:
  MergeCase merge_;
  GuardedBuffer prefix_;
  GuardedBuffer suffix_;
  GuardedBuffer prefix_lse_;
  GuardedBuffer suffix_lse_;
  GuardedBuffer output_;
  GuardedBuffer output_lse_;
  GuardedBuffer scale_;
  GuardedBuffer scales_;
};

// Launches the case through the front end and waits for it.
MergeOutcome run_merge(Runtime& runtime, const MergeCase& merge, const MergeInputs& inputs,
                       const StreamOwner& stream);

}  // namespace jit::test
