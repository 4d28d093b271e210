#include "load/device_timer.hpp"

#include <algorithm>

namespace jit::inline v1 {
namespace {

constexpr int kWarmUpRounds = 3;

Timing summarise(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return {samples[samples.size() / 2], samples.front(), samples.back()};
}

std::size_t flush_bytes(Driver& driver) {
  // Twice the L2: whatever of the buffers was in it is gone.
  return std::size_t{2} * driver.device(driver.ensure_context()).l2_bytes;
}

double us_between(const Event& from, const Event& to) {
  return 1000.0 * static_cast<double>(to.elapsed_ms_since(from));
}

}  // namespace

GraphExec capture_calls(Driver& driver, const StreamOwner& stream, const EnqueueCall& enqueue,
                        std::size_t calls) {
  enqueue(0);
  stream.synchronize();
  // Other threads of the process may allocate meanwhile.
  StreamCapture capture(driver, stream.get(), kCudaCaptureRelaxed);
  for (std::size_t call = 0; call < calls; ++call) enqueue(call);
  return capture.finish();
}

GraphTimer::GraphTimer(Driver& driver, const StreamOwner& stream)
    : stream_(stream.get()),
      flush_(driver, flush_bytes(driver)),
      begin_(driver),
      start_(driver),
      stop_(driver) {}

GraphTimer::Sample GraphTimer::time(const GraphExec& graph, bool starts_cold) {
  begin_.record(stream_);
  graph.launch(stream_);
  if (starts_cold) flush_.fill_async(0, stream_);
  start_.record(stream_);
  graph.launch(stream_);
  stop_.record(stream_);
  stop_.synchronize();
  return {us_between(start_, stop_), us_between(begin_, stop_)};
}

std::vector<Timing> time_variants(Driver& driver, const StreamOwner& stream,
                                  const std::vector<TimedVariant>& variants, int rounds) {
  std::vector<GraphExec> graphs;
  for (const TimedVariant& variant : variants) {
    graphs.push_back(capture_calls(driver, stream, variant.enqueue, variant.calls));
  }
  GraphTimer timer(driver, stream);
  std::vector<std::vector<double>> samples(variants.size());
  for (int round = -kWarmUpRounds; round < rounds; ++round) {
    for (std::size_t i = 0; i < variants.size(); ++i) {
      const GraphTimer::Sample sample = timer.time(graphs[i], variants[i].starts_cold);
      if (round < 0) continue;
      samples[i].push_back(sample.us / static_cast<double>(variants[i].calls));
    }
  }
  std::vector<Timing> timings;
  for (auto& sample : samples) timings.push_back(summarise(std::move(sample)));
  return timings;
}

}  // namespace jit::inline v1
