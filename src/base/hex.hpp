// Hexadecimal text of bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace jit::inline v1 {

// Two lower-case digits per byte.
std::string to_hex(std::span<const std::uint8_t> bytes);

// Fills `bytes` from exactly 2 * bytes.size() lower-case digits. Returns: false for any other text;
// `bytes` is unspecified then. Upper case is refused, so that a value has one spelling.
bool from_hex(std::string_view text, std::span<std::uint8_t> bytes) noexcept;
std::optional<std::vector<std::uint8_t>> from_hex(std::string_view text);

}  // namespace jit::inline v1
