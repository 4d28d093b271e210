// Fp8Device: the operands of a case of fp8_attention on the GPU.
#pragma once

#include <filesystem>

#include "gpu/fp8_attention_bits.hpp"
#include "gpu/fp8_attention_call.hpp"
#include "gpu/fp8_attention_case.hpp"
#include "gpu/gpu.hpp"

namespace jit::test {

class Fp8Device {
 public:
  // Uploads the inputs and poisons the outputs; returns when all of it is there.
  Fp8Device(Driver& driver, const Fp8Case& fp8, const Fp8Inputs& inputs);

  kernels::Fp8AttentionArgs args() const;
  // Other inputs in place of those that were uploaded, at the same addresses; poisons the outputs
  // again. Requires: operands of the same sizes; nothing that reads them is under way.
  void refill(const Fp8Inputs& inputs) const;
  Fp8Outcome download() const;

 private:
  kernels::Fp8Descale factors(const GuardedBuffer& buffer) const;
  // All but the workspace, whose size depends on it.
  kernels::Fp8AttentionArgs operands() const;

  Fp8Case fp8_;
  GuardedBuffer q_;
  GuardedBuffer k_;
  GuardedBuffer v_;
  GuardedBuffer cu_seqlens_q_;
  GuardedBuffer cu_seqlens_k_;
  GuardedBuffer seqused_q_;
  GuardedBuffer seqused_k_;
  GuardedBuffer page_table_;
  GuardedBuffer q_factors_;
  GuardedBuffer k_factors_;
  GuardedBuffer v_factors_;
  GuardedBuffer sinks_;
  GuardedBuffer output_;
  GuardedBuffer lse_;
  GuardedBuffer scale_;
  GuardedBuffer counters_;
  std::int64_t workspace_bytes_;
  GuardedBuffer workspace_;
};

// Launches the case through the front end on a stream of its own and waits for it.
Fp8Outcome run_fp8(Runtime& runtime, const Fp8Case& fp8, const Fp8Inputs& inputs);
Fp8Outcome run_fp8(const Fp8Case& fp8, const Fp8Inputs& inputs);  // of fp8_runtime()

Fp8Bits bits_of(const Fp8Case& fp8, const Fp8Inputs& inputs);
Fp8Bits bits_of(const Fp8Case& fp8);

// Keys of a tile of the kernel that fp8_runtime() has for a case: only with the same ones are bits
// the same.
std::int64_t keys_of_tile(const Fp8Case& fp8);

// A runtime of the whole process with a cache of its own.
Runtime& fp8_runtime();
std::filesystem::path fp8_runtime_cache();

}  // namespace jit::test
