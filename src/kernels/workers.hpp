// How many thread blocks a persistent kernel is launched with.
#pragma once

#include <cstdint>

#include "jit/runtime.hpp"

namespace jit::inline v1::kernels {

inline constexpr std::int64_t kMaxWorkers = std::int64_t{1} << 20;

// `given`, or for 0 the multiprocessors of the calling context's device.
//
// Errors: kNoDriver; kInvalidArgument if no context is current and the GPUs differ.
// Cost: no driver call where all GPUs are alike and the driver has been used.
std::int64_t workers_or_all(Runtime& runtime, std::int64_t given);

}  // namespace jit::inline v1::kernels
