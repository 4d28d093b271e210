// VariantClock: times variants of a kernel on the device, fairly.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <span>
#include <vector>

#include "jit/tuning.hpp"
#include "load/device_memory.hpp"
#include "load/device_timer.hpp"
#include "load/device_watch.hpp"
#include "tune/halving.hpp"

namespace jit::inline v1 {

// VariantClock launches a variant over each operand set of a problem once, in one graph, with the
// L2 flushed before it: every launch finds its operands cold. A round takes the sizes in turn, and
// of each size the variants in an order of its own.
class VariantClock final : public VariantTimer {
 public:
  // One problem for each size; all outlive the clock.
  VariantClock(Driver& driver, const StreamOwner& stream,
               std::span<const std::unique_ptr<TuningProblem>> problems, std::uint64_t seed);

  // Captures the launches of a variant at every size. Errors: what its launch says.
  void add(std::size_t variant, const Kernel& kernel);

  std::vector<std::vector<double>> sample(std::span<const std::size_t> variants) override;
  // Launches as for a sample, once, and takes no time.
  void launch(std::size_t variant, std::size_t size) const;

  // Launches all variants until the device runs as fast as it will: some 50 ms of its time.
  void warm_up();

  // Whose clocks are watched between samples.
  void watch(DeviceWatch& watch) noexcept { watch_ = &watch; }
  // Device time of samples so far, of one sample of a variant at all sizes, and of all of them.
  // Requires: the variant was sampled.
  double ms_per_sample(std::size_t variant) const;
  double device_ms() const noexcept { return spent_us_ / 1000; }

 private:
  struct Timed {
    std::vector<GraphExec> graphs;  // by size
    double spent_us = 0;
    std::size_t samples = 0;
  };
  double sample_one(Timed& timed, std::size_t size);

  Driver& driver_;
  const StreamOwner& stream_;
  std::span<const std::unique_ptr<TuningProblem>> problems_;
  std::mt19937_64 random_;
  GraphTimer timer_;
  std::map<std::size_t, Timed> timed_;
  DeviceWatch* watch_ = nullptr;
  double spent_us_ = 0;
};

}  // namespace jit::inline v1
