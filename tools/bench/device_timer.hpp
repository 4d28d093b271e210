// Timing of device work through CUDA graphs.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "load/device_memory.hpp"
#include "load/driver.hpp"

namespace jit::inline v1 {

// What one variant took.
struct Timing {
  double median_us = 0;  // per call
  double min_us = 0;
  double max_us = 0;
};

// One thing to time: `enqueue(i)` puts call number i on the stream, where i chooses the buffers.
struct TimedVariant {
  std::function<void(std::size_t call)> enqueue;
  std::size_t calls = 1;     // per graph
  bool starts_cold = false;  // nothing of its buffers is in the L2 when a graph starts
};

// Captures each variant as one graph of `calls` calls, warms all up, and then launches them in
// turn, `rounds` times: what drifts, drifts for all. Units: microseconds per call.
//
// A call is cold only if no earlier call of its graph touched the same buffers: those of all calls
// differ, or are larger than the L2 in all.
//
// Requires: `stream` is not the default stream; enqueue only launches and copies on it.
std::vector<Timing> time_variants(Driver& driver, StreamOwner& stream,
                                  const std::vector<TimedVariant>& variants, int rounds);

}  // namespace jit::inline v1
