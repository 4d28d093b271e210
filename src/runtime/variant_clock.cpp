#include "runtime/variant_clock.hpp"

#include <algorithm>
#include <numeric>

namespace jit::inline v1 {

VariantClock::VariantClock(Driver& driver, const StreamOwner& stream,
                           std::span<const std::unique_ptr<TuningProblem>> problems,
                           std::uint64_t seed)
    : driver_(driver),
      stream_(stream),
      problems_(problems),
      random_(seed),
      timer_(driver, stream) {}

void VariantClock::add(std::size_t variant, const Kernel& kernel) {
  Timed timed;
  for (const auto& problem : problems_) {
    timed.graphs.push_back(capture_calls(
        driver_, stream_, [&](std::size_t call) { problem->launch(kernel, call, stream_.get()); },
        problem->sets()));
    // The first run uploads the graph.
    timed.graphs.back().launch(stream_.get());
  }
  stream_.synchronize();
  timed_.insert_or_assign(variant, std::move(timed));
}

double VariantClock::sample_one(Timed& timed, std::size_t size) {
  const GraphTimer::Sample sample = timer_.time(timed.graphs[size], true);
  timed.spent_us += sample.spent_us;
  spent_us_ += sample.spent_us;
  return sample.us / static_cast<double>(problems_[size]->sets());
}

std::vector<std::vector<double>> VariantClock::sample(std::span<const std::size_t> variants) {
  std::vector<std::vector<double>> samples(variants.size(), std::vector<double>(problems_.size()));
  std::vector<std::size_t> turns(variants.size());
  std::iota(turns.begin(), turns.end(), std::size_t{0});
  for (std::size_t size = 0; size < problems_.size(); ++size) {
    std::shuffle(turns.begin(), turns.end(), random_);
    for (const std::size_t turn : turns) {
      samples[turn][size] = sample_one(timed_.at(variants[turn]), size);
    }
    if (watch_ != nullptr) watch_->look();
  }
  for (const std::size_t variant : variants) ++timed_.at(variant).samples;
  return samples;
}

void VariantClock::warm_up() {
  constexpr double kDeviceUs = 50'000;
  const auto end = now() + std::chrono::milliseconds(200);
  for (double spent_us = 0; spent_us < kDeviceUs && now() < end;) {
    for (const auto& [variant, timed] : timed_) {
      for (const GraphExec& graph : timed.graphs) spent_us += timer_.time(graph, true).spent_us;
    }
  }
}

void VariantClock::launch(std::size_t variant, std::size_t size) const {
  timed_.at(variant).graphs[size].launch(stream_.get());
}

double VariantClock::ms_per_sample(std::size_t variant) const {
  const Timed& timed = timed_.at(variant);
  return timed.spent_us / 1000 / static_cast<double>(timed.samples);
}

}  // namespace jit::inline v1
