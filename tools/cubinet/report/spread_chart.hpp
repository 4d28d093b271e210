// Spread bars: how far the time of each variant is known, beside the noise and the untuned choice.
#pragma once

#include "cubinet/report/html.hpp"
#include "cubinet/report/tuning_view.hpp"

namespace jit::inline v1 {

// So many variants, the fastest ones, have bars; besides the chosen and the untuned one.
inline constexpr std::size_t kMaxBars = 10;

// The variants that have bars, the fastest first.
std::vector<std::size_t> shown_bars(const TuningView& view);

// From where to where an axis goes, in steps that people like. Requires: 0 < low <= high.
struct AxisScale {
  double low = 0;
  double high = 0;
  double step = 0;
  // Where a value lies: 0 at low, 1 at high.
  double share(double value) const { return (value - low) / (high - low); }
  std::vector<double> ticks() const;
};
AxisScale scale_over(double low, double high);

// One panel per size. Requires: view.timed().
Html spread_charts(const TuningView& view);

}  // namespace jit::inline v1
