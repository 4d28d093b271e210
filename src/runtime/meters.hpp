// Meters: the histograms of a Runtime.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/histogram.hpp"
#include "cache/statistics_names.hpp"
#include "jit/stats.hpp"

namespace jit::inline v1 {

// By position in kHistogramNames.
enum class Meter : std::uint8_t { kCompile, kMiss, kDiskHit, kLockWait, kCubin };

class Stopwatch {
 public:
  std::uint64_t us() const {
    const auto spent = std::chrono::steady_clock::now() - began_;
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
  }

 private:
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

// Threads: any.
class Meters {
 public:
  void add(Meter meter, std::uint64_t value) noexcept {
    histograms_[static_cast<std::size_t>(meter)].add(value);
  }
  std::vector<NamedHistogram> read() const {
    std::vector<NamedHistogram> all;
    for (std::size_t i = 0; i < histograms_.size(); ++i) {
      all.push_back({kHistogramNames[i], histograms_[i].read()});
    }
    return all;
  }

 private:
  std::array<AtomicHistogram, kHistogramNames.size()> histograms_;
};

}  // namespace jit::inline v1
