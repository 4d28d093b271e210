// Timing of device work through CUDA graphs.
#pragma once

#include <cstddef>
#include <functional>
#include <vector>

#include "load/device_memory.hpp"
#include "load/driver.hpp"
#include "load/graph.hpp"

namespace jit::inline v1 {

// Puts call number i on the stream, where i chooses the buffers.
using EnqueueCall = std::function<void(std::size_t call)>;

// One graph of these calls. The first of them runs once outside the capture, and is waited for:
// whatever is set up at a first call is set up there.
// Requires: `stream` is not the default stream; enqueue only launches and copies on it.
GraphExec capture_calls(Driver& driver, const StreamOwner& stream, const EnqueueCall& enqueue,
                        std::size_t calls);

// GraphTimer takes the time of graphs, launch by launch.
class GraphTimer {
 public:
  GraphTimer(Driver& driver, const StreamOwner& stream);

  // Units: microseconds.
  struct Sample {
    double us = 0;        // of the graph
    double spent_us = 0;  // on the device, for taking the sample
  };
  // Launches the graph twice and times the second run, so that its start is not waited for. With
  // `starts_cold` nothing of any buffer is in the L2 then: a fill of twice its size comes between.
  // Waits for the end.
  Sample time(const GraphExec& graph, bool starts_cold);

 private:
  Stream stream_;
  DeviceBuffer flush_;
  Event begin_;
  Event start_;
  Event stop_;
};

// What one variant took.
struct Timing {
  double median_us = 0;  // per call
  double min_us = 0;
  double max_us = 0;
};

// One thing to time.
struct TimedVariant {
  EnqueueCall enqueue;
  std::size_t calls = 1;     // per graph
  bool starts_cold = false;  // nothing of its buffers is in the L2 when a graph starts
};

// Captures each variant as one graph of `calls` calls, warms all up, and then launches them in
// turn, `rounds` times: what drifts, drifts for all. Units: microseconds per call.
//
// A call is cold only if no earlier call of its graph touched the same buffers: those of all calls
// differ, or are larger than the L2 in all.
//
// Requires: as capture_calls.
std::vector<Timing> time_variants(Driver& driver, const StreamOwner& stream,
                                  const std::vector<TimedVariant>& variants, int rounds);

}  // namespace jit::inline v1
