#include "base/quantity.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>

namespace jit::inline v1 {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Takes digits with at most one point among them off the front. Returns: less than 0 if there are
// none.
double take_number(std::string_view& text) noexcept {
  const std::size_t length = std::min(text.find_first_not_of("0123456789."), text.size());
  double value = -1;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + length, value, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + length) return -1;
  text.remove_prefix(length);
  return value;
}

// Returns: 0 if `unit` is none.
double factor_of(std::string_view unit) noexcept {
  if (unit.empty() || unit == "B" || unit == "b") return 1;
  const std::size_t power = std::string_view("kmgt").find(lower(unit.front()));
  if (power == std::string_view::npos) return 0;
  unit.remove_prefix(1);
  const bool binary =
      unit.empty() || (unit.size() == 2 && lower(unit[0]) == 'i' && lower(unit[1]) == 'b');
  if (!binary && (unit.size() != 1 || lower(unit[0]) != 'b')) return 0;
  double factor = 1;
  for (std::size_t i = 0; i <= power; ++i) factor *= binary ? 1024 : 1000;
  return factor;
}

}  // namespace

std::optional<std::uint64_t> parse_size(std::string_view text) noexcept {
  const double value = take_number(text);
  if (value < 0) return std::nullopt;
  if (text.size() > 1 && text.front() == ' ') text.remove_prefix(1);
  const double factor = factor_of(text);
  if (factor == 0 || value * factor > 0x1p63) return std::nullopt;
  return static_cast<std::uint64_t>(std::round(value * factor));
}

std::optional<std::chrono::seconds> parse_duration(std::string_view text) noexcept {
  constexpr std::int64_t kMaxSeconds = std::int64_t{86'400} * 36'600;
  std::int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || value < 0 || end + 1 != text.data() + text.size()) {
    return std::nullopt;
  }
  std::int64_t unit = 0;
  switch (*end) {
    case 's': unit = 1; break;
    case 'm': unit = 60; break;
    case 'h': unit = 3600; break;
    case 'd': unit = 86'400; break;
    case 'w': unit = std::int64_t{7} * 86'400; break;
    default: return std::nullopt;
  }
  if (value > kMaxSeconds / unit) return std::nullopt;
  return std::chrono::seconds(value * unit);
}

std::string format_bytes(std::uint64_t bytes) {
  constexpr std::array kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

}  // namespace jit::inline v1
