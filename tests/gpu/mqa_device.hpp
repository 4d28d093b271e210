// MqaDevice: the operands of a case of mqa_logits on the GPU.
#pragma once

#include "gpu/gpu.hpp"
#include "gpu/mqa_case.hpp"
#include "jit/kernels/mqa_logits.hpp"

namespace jit::test {

class MqaDevice {
 public:
  // Uploads the inputs and poisons the logits; returns when all of it is there.
  MqaDevice(Driver& driver, const MqaCase& mqa, const MqaInputs& inputs);

  kernels::MqaLogitsArgs args() const;
  MqaOutcome download() const;

 private:
  MqaCase mqa_;
  GuardedBuffer query_;
  GuardedBuffer keys_;
  GuardedBuffer scales_;
  GuardedBuffer weights_;
  GuardedBuffer starts_;
  GuardedBuffer ends_;
  GuardedBuffer logits_;
};

// Launches the case through the front end on a stream of its own and waits for it.
MqaOutcome run_mqa(Runtime& runtime, const MqaCase& mqa, const MqaInputs& inputs);

// The logits alone, as bytes.
std::vector<std::byte> logits_of(Runtime& runtime, const MqaCase& mqa, const MqaInputs& inputs);

}  // namespace jit::test
