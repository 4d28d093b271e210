#include "cubinet/report/figures.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace jit::inline v1 {
namespace {

// How many of the bounds the value passes.
std::size_t passed(double value, const ScaleBounds& bounds) noexcept {
  return static_cast<std::size_t>(
      std::count_if(bounds.begin(), bounds.end(), [&](double bound) { return value > bound; }));
}

// Decimals that leave so many significant digits.
int decimals_of(double value, int digits) {
  if (value <= 0) return digits - 1;
  const int before = static_cast<int>(std::floor(std::log10(value))) + 1;
  return std::clamp(digits - before, 0, 3);
}

}  // namespace

std::string time_text(double us, int digits) {
  if (!std::isfinite(us) || us <= 0) return "-";
  return fmt::format("{:.{}f}", us, decimals_of(us, digits));
}

std::string percent_text(double share) {
  if (!std::isfinite(share)) return "-";
  const double percent = std::abs(share) * 100;
  return fmt::format("{:.{}f} %", percent, percent >= 99.5 ? 0 : percent >= 0.995 ? 1 : 2);
}

std::string slower_text(double share) {
  const std::string sign = share < 0 ? "-" : "+";
  const double percent = std::abs(share) * 100;
  if (percent >= 9.95 && percent < 1e6) return fmt::format("{}{:.0f} %", sign, percent);
  return sign + percent_text(share);
}

std::string count_text(std::size_t count, std::string_view thing) {
  return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string_view word_of(TuningVerdict verdict) noexcept {
  switch (verdict) {
    case TuningVerdict::kMeasured: return "measured";
    case TuningVerdict::kWrong: return "wrong";
    case TuningVerdict::kRefused: return "refused";
    case TuningVerdict::kRejected: return "rejected";
    case TuningVerdict::kNotReached: return "not timed";
  }
  return "unknown";
}

std::string width_text(double share) {
  return fmt::format("{:.2f}%", 100 * (std::isfinite(share) ? std::clamp(share, 0.0, 1.0) : 0.0));
}

std::size_t shade_of(double slower) noexcept { return passed(slower, kSlowerBounds); }

std::size_t pale_shade_of(double value, const ScaleBounds& bounds) noexcept {
  return kShades - 1 - passed(value, bounds);
}

}  // namespace jit::inline v1
