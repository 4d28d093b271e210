#include "bench/device_timer.hpp"

#include <algorithm>

#include "load/graph.hpp"

namespace jit::inline v1 {
namespace {

constexpr int kWarmUpRounds = 3;

Timing summarise(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples.front(), samples.back()};
}

}  // namespace

std::vector<Timing> time_variants(Driver& driver, StreamOwner& stream,
                                  const std::vector<TimedVariant>& variants, int rounds) {
  std::vector<GraphExec> graphs;
  for (const TimedVariant& variant : variants) {
    // Once outside the capture: whatever is set up at a first call is set up there.
    variant.enqueue(0);
    stream.synchronize();
    StreamCapture capture(driver, stream.get());
    for (std::size_t call = 0; call < variant.calls; ++call) variant.enqueue(call);
    graphs.push_back(capture.finish());
  }
  // Twice the L2: whatever of the buffers was in it is gone.
  const std::size_t l2_bytes = driver.device(driver.ensure_context()).l2_bytes;
  DeviceBuffer flush(driver, 2 * l2_bytes);
  Event start(driver);
  Event stop(driver);
  std::vector<std::vector<double>> samples(variants.size());
  for (int round = -kWarmUpRounds; round < rounds; ++round) {
    for (std::size_t i = 0; i < variants.size(); ++i) {
      // The graph is queued behind another run of itself, so that its start is not waited for.
      graphs[i].launch(stream.get());
      if (variants[i].starts_cold) flush.fill_async(0, stream.get());
      start.record(stream.get());
      graphs[i].launch(stream.get());
      stop.record(stream.get());
      stop.synchronize();
      const double us = 1000.0 * static_cast<double>(stop.elapsed_ms_since(start));
      if (round >= 0) samples[i].push_back(us / static_cast<double>(variants[i].calls));
    }
  }
  std::vector<Timing> timings;
  for (auto& sample : samples) timings.push_back(summarise(std::move(sample)));
  return timings;
}

}  // namespace jit::inline v1
