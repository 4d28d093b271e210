// Quantities as people write them: sizes and durations.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace jit::inline v1 {

// "4GiB", "4G", "1.5 TiB", "500MB", "65536": K, M, G and T with or without "iB" are powers of 1024,
// with "B" of 1000; upper or lower case. Returns: nullopt for anything else, or more than 2^63.
std::optional<std::uint64_t> parse_size(std::string_view text) noexcept;

// "30d", "12h", "90m", "45s", "2w": a whole number and its unit. Returns: nullopt for anything
// else, or more than a hundred years.
std::optional<std::chrono::seconds> parse_duration(std::string_view text) noexcept;

// "512 B", "12.3 KiB".
std::string format_bytes(std::uint64_t bytes);

}  // namespace jit::inline v1
