#include "cache/layout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/hex.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::size_t kKeyDigits = 64;
constexpr std::size_t kBuildDigits = 8;

// Takes "<number><end>" off the front of `text`, in its one spelling: no sign, no leading zero.
bool take_number(std::string_view& text, char end, std::uint16_t& number) {
  const char* const last = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), last, number);
  if (error != std::errc{} || stop == last || *stop != end) return false;
  if (text.front() == '0' && stop != text.data() + 1) return false;
  text.remove_prefix(static_cast<std::size_t>(stop - text.data()) + 1);
  return true;
}

}  // namespace

bool is_shard_name(std::string_view name) noexcept {
  std::array<std::uint8_t, 1> byte{};
  return from_hex(name, byte);
}

bool EntryName::matches(const ToolchainId& toolchain) const noexcept {
  return release == toolchain.release &&
         std::equal(build.begin(), build.end(), toolchain.build.begin());
}

std::string entry_name(const UnitKey& key, const ToolchainId& toolchain) {
  const auto build = std::span(toolchain.build).first<kBuildDigits / 2>();
  return fmt::format("{}.{}.{}-{}{}", to_hex(key.bytes), toolchain.release.major,
                     toolchain.release.minor, to_hex(build), kEntrySuffix);
}

std::optional<EntryName> parse_entry_name(std::string_view name) {
  EntryName parsed;
  if (name.size() <= kKeyDigits + 1 || name[kKeyDigits] != '.') return std::nullopt;
  if (!from_hex(name.substr(0, kKeyDigits), parsed.key.bytes)) return std::nullopt;
  name.remove_prefix(kKeyDigits + 1);
  if (!take_number(name, '.', parsed.release.major)) return std::nullopt;
  if (!take_number(name, '-', parsed.release.minor)) return std::nullopt;
  if (name.size() != kBuildDigits + kEntrySuffix.size()) return std::nullopt;
  if (!from_hex(name.substr(0, kBuildDigits), parsed.build)) return std::nullopt;
  if (name.substr(kBuildDigits) != kEntrySuffix) return std::nullopt;
  return parsed;
}

}  // namespace jit::inline v1
