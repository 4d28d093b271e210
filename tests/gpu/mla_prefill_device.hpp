// MlaDevice: the operands of a case of mla_prefill on the GPU.
#pragma once

#include "gpu/gpu.hpp"
#include "gpu/mla_prefill_bits.hpp"
#include "gpu/mla_prefill_case.hpp"
#include "jit/kernels/mla_prefill.hpp"

namespace jit::test {

class MlaDevice {
 public:
  // Uploads the inputs and poisons the outputs; returns when all of it is there.
  MlaDevice(Driver& driver, const MlaCase& mla, const MlaInputs& inputs);

  kernels::MlaPrefillArgs args() const;
  MlaOutcome download() const;

 private:
  MlaCase mla_;
  GuardedBuffer q_;
  GuardedBuffer k_;
  GuardedBuffer v_;
  GuardedBuffer k_rope_;
  GuardedBuffer cu_seqlens_q_;
  GuardedBuffer cu_seqlens_k_;
  GuardedBuffer output_;
  GuardedBuffer lse_;
  GuardedBuffer scale_;
  GuardedBuffer scales_;
  GuardedBuffer counters_;
};

// Launches the case through the front end on a stream of its own and waits for it.
MlaOutcome run_mla(Runtime& runtime, const MlaCase& mla, const MlaInputs& inputs);

MlaBits bits_of(Runtime& runtime, const MlaCase& mla, const MlaInputs& inputs);

// A runtime of the whole process with a cache of its own.
Runtime& mla_runtime();

}  // namespace jit::test
