// What the tuning problems of all shipped kernels read of a request, and what they find in common.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "jit/tuning.hpp"
#include "load/device_memory.hpp"

namespace jit::inline v1 {

// The size of that name, or `otherwise`.
std::int64_t size_or(std::span<const Size> sizes, std::string_view name, std::int64_t otherwise);

// How many sets of operands of so many bytes are needed for none to be in the L2 when its turn
// comes; at least 1, at most kMaxSets.
std::size_t sets_of(const TuningProblemRequest& request, std::uint64_t bytes);

// What is wrong with two work counters after a launch; empty if nothing is.
std::string counters_left(const DeviceBuffer& counters);

}  // namespace jit::inline v1
