// Figures as text, all of them the same way.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "jit/tuning.hpp"

namespace jit::inline v1 {

// "1.692", "77.92", "1234": so many significant digits, at least those before the point. Units:
// microseconds. "-" for what is no time.
std::string time_text(double us, int digits = 4);
// "8.3 %", "0.42 %", "120 %". "-" for what is no number.
std::string percent_text(double share);
// "+8.3 %", "+12 %".
std::string slower_text(double share);
// "1 kernel", "2 kernels".
std::string count_text(std::size_t count, std::string_view thing);
// "wrong", "not timed".
std::string_view word_of(TuningVerdict verdict) noexcept;
// A part of the width: "12.34%". Clamped to 0..1.
std::string width_text(double share);

// Shades of a scale are numbered from the strongest, 0. A value belongs to the first step whose
// bound it does not pass; beyond all of them is one shade more.
inline constexpr std::size_t kShades = 7;
using ScaleBounds = std::array<double, kShades - 1>;
inline constexpr ScaleBounds kSlowerBounds{0.01, 0.02, 0.05, 0.1, 0.2, 0.5};
inline constexpr ScaleBounds kRegisterBounds{32, 48,  64,
                                             96, 128, 168};  // the fewest are the palest
inline constexpr ScaleBounds kOccupancyBounds{0.125, 0.25, 0.375, 0.5, 0.625, 0.75};  // likewise
std::size_t shade_of(double slower) noexcept;  // of kSlowerBounds
std::size_t pale_shade_of(double value, const ScaleBounds& bounds) noexcept;

}  // namespace jit::inline v1
