// How many thread blocks a persistent kernel is launched with.
#pragma once

#include <cstdint>

#include "jit/runtime.hpp"

namespace jit::inline v1::kernels {

inline constexpr std::int64_t kMaxWorkers = std::int64_t{1} << 20;

// The multiprocessors of the calling context's device. Errors, Cost: as workers_or_all.
std::int64_t multiprocessors_of(Runtime& runtime);

// `given`, or for 0 the multiprocessors of the calling context's device.
//
// Errors: kNoDriver; kInvalidArgument if no context is current and the GPUs differ.
// Cost: no driver call where all GPUs are alike and the driver has been used.
std::int64_t workers_or_all(Runtime& runtime, std::int64_t given);

// What a block of a kernel takes of a multiprocessor.
struct BlockNeeds {
  std::int64_t threads = 0;
  std::int64_t registers = 0;   // of a thread, as the compiler reports them
  std::int64_t smem_bytes = 0;  // static and dynamic
};

// How many such blocks a multiprocessor of compute capability 9.0 holds at a time; at least 1.
//
// Source: CUDA C++ Programming Guide 13.0, "Technical Specifications per Compute Capability".
std::int64_t blocks_that_fit(const BlockNeeds& block) noexcept;

}  // namespace jit::inline v1::kernels
