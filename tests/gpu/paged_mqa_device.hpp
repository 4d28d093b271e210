// PagedMqaDevice: the operands of a case on the GPU.
#pragma once

#include "gpu/gpu.hpp"
#include "gpu/paged_mqa_case.hpp"
#include "jit/kernels/paged_mqa_logits.hpp"

namespace jit::test {

class PagedMqaDevice {
 public:
  // Uploads the inputs and poisons the logits; returns when all of it is there.
  PagedMqaDevice(Driver& driver, const PagedMqaCase& paged, const PagedMqaInputs& inputs);

  kernels::PagedMqaLogitsArgs args() const;
  kernels::PagedMqaLogitsMetadataArgs metadata_args() const;
  PagedMqaOutcome download() const;

 private:
  PagedMqaCase paged_;
  std::int64_t blocks_;
  GuardedBuffer query_;
  GuardedBuffer cache_;
  GuardedBuffer weights_;
  GuardedBuffer lengths_;
  GuardedBuffer table_;
  GuardedBuffer schedule_;
  GuardedBuffer logits_;
};

// Launches the case through the front ends, behind its schedule if it has one.
void launch_paged_mqa(Runtime& runtime, const PagedMqaCase& paged, const PagedMqaDevice& device,
                      Stream stream);

// The same on a stream of its own, and waits for it.
PagedMqaOutcome run_paged_mqa(Runtime& runtime, const PagedMqaCase& paged,
                              const PagedMqaInputs& inputs);

// The logits alone, as bytes.
std::vector<std::byte> logits_of(Runtime& runtime, const PagedMqaCase& paged,
                                 const PagedMqaInputs& inputs);

// A runtime of the whole process with a cache of its own.
Runtime& mqa_runtime();

}  // namespace jit::test
