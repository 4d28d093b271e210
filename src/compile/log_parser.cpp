#include "compile/log_parser.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string>
#include <system_error>

namespace jit::inline v1 {
namespace {

std::string_view trim(std::string_view text) noexcept {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string_view take_line(std::string_view& text) noexcept {
  const std::size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return line;
}

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

// The number at the front of `text`, saturated; nullopt if there is none.
std::optional<std::uint32_t> leading_number(std::string_view text) noexcept {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) return std::numeric_limits<std::uint32_t>::max();
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

// The number before `unit` as in "188 bytes spill stores"; leaves `value` alone if there is none.
void number_before(std::string_view line, std::string_view unit, std::uint32_t& value) noexcept {
  const std::size_t at = line.find(unit);
  if (at == std::string_view::npos || at == 0) return;
  std::size_t first = at;
  while (first > 0 && is_digit(line[first - 1])) --first;
  if (const auto number = leading_number(line.substr(first, at - first))) value = *number;
}

// C7508 is about setmaxnreg and C7519 about an injected arrive, which waits for nothing.
bool is_serialized_wgmma(std::string_view line) noexcept {
  const std::size_t at = line.find("(C75");
  if (at == std::string_view::npos) return false;
  const auto number = leading_number(line.substr(at + 2));
  return number && *number >= 7510 && *number <= 7518;
}

// "name" of "Function properties for name" and of "... entry function 'name' for 'sm_90a'".
std::optional<std::string_view> named_function(std::string_view line) noexcept {
  constexpr std::string_view kProperties = "Function properties for ";
  constexpr std::string_view kEntry = "entry function '";
  if (const std::size_t at = line.find(kProperties); at != std::string_view::npos) {
    return trim(line.substr(at + kProperties.size()));
  }
  if (const std::size_t at = line.find(kEntry); at != std::string_view::npos) {
    const std::string_view rest = line.substr(at + kEntry.size());
    return rest.substr(0, rest.find('\''));
  }
  return std::nullopt;
}

void add_saturated(std::uint32_t& sum, std::uint32_t value) noexcept {
  const std::uint32_t room = std::numeric_limits<std::uint32_t>::max() - sum;
  sum += std::min(room, value);
}

void add_spills(std::string_view line, LogFacts& facts) noexcept {
  std::uint32_t stores = 0;
  std::uint32_t loads = 0;
  number_before(line, " bytes spill stores", stores);
  number_before(line, " bytes spill loads", loads);
  add_saturated(facts.spill_store_bytes, stores);
  add_saturated(facts.spill_load_bytes, loads);
}

void read_numbers(std::string_view line, LogFacts& facts) noexcept {
  number_before(line, " bytes stack frame", facts.stack_bytes);
  constexpr std::string_view kUsed = "Used ";
  const std::size_t used = line.find(kUsed);
  if (used == std::string_view::npos) return;
  number_before(line.substr(used), " registers", facts.registers);
  number_before(line.substr(used), " bytes smem", facts.smem_bytes);
}

// Where "error" stands as a word of the compiler: ": error:", "catastrophic error:", "error   :".
std::optional<std::size_t> error_text_at(std::string_view line) noexcept {
  for (std::size_t at = line.find("error"); at != std::string_view::npos;
       at = line.find("error", at + 1)) {
    std::size_t end = at + 5;
    while (end < line.size() && line[end] == ' ') ++end;
    if (end < line.size() && line[end] == '#') {  // an error number, "error #20-D:"
      end = std::min(line.find(':', end), line.size());
    }
    const bool starts = at == 0 || line[at - 1] == ' ';
    if (starts && end < line.size() && line[end] == ':') return end + 1;
  }
  return std::nullopt;
}

// "file(41)" at the front of a line of the front end; empty for the lines of ptxas and nvrtc.
std::string_view location_of(std::string_view line) noexcept {
  const std::size_t close = line.find("):");
  const std::size_t open = close == std::string_view::npos ? close : line.rfind('(', close);
  if (open == std::string_view::npos || open == 0) return {};
  return leading_number(line.substr(open + 1)) ? line.substr(0, close + 1) : std::string_view{};
}

std::string in_one_form(std::string_view line, std::size_t text_at) {
  const std::string_view text = trim(line.substr(text_at));
  if (const std::string_view location = location_of(line); !location.empty()) {
    return std::string(location) + ": " + std::string(text);
  }
  constexpr std::string_view kPtxas = "ptxas application ptx input, ";
  if (line.starts_with(kPtxas)) {
    const std::string_view rest = line.substr(kPtxas.size());
    return "ptxas: " + std::string(text) + " (PTX " + std::string(rest.substr(0, rest.find(';'))) +
           ")";
  }
  return (line.starts_with("ptxas") ? "ptxas: " : "") + std::string(text);
}

}  // namespace

LogFacts parse_log(std::string_view log, std::string_view symbol) noexcept {
  LogFacts facts;
  bool ours = false;
  while (!log.empty()) {
    const std::string_view line = take_line(log);
    if (!line.starts_with("ptxas")) continue;
    if (is_serialized_wgmma(line)) ++facts.serialized_wgmma;
    add_spills(line, facts);
    if (const auto name = named_function(line)) {
      ours = *name == symbol;
      facts.found = facts.found || ours;
    } else if (ours) {
      read_numbers(line, facts);
    }
  }
  return facts;
}

std::string first_error(std::string_view log) {
  std::string fatal;
  while (!log.empty()) {
    const std::string_view line = trim(take_line(log));
    if (const auto at = error_text_at(line)) return in_one_form(line, *at);
    if (fatal.empty() && line.starts_with("ptxas fatal")) {
      const std::size_t colon = line.find(':');
      if (colon == std::string_view::npos) continue;
      fatal = "ptxas: ";
      fatal += trim(line.substr(colon + 1));
    }
  }
  return fatal;
}

}  // namespace jit::inline v1
