#include "cache/statistics_record.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>

#include "base/digest.hpp"
#include "base/file.hpp"
#include "base/hex.hpp"

namespace jit::inline v1 {
namespace {

constexpr std::string_view kHead = "cubinet statistics 1\n";
constexpr std::string_view kChecksum = "checksum ";
constexpr std::size_t kChecksumDigits = 32;
constexpr std::size_t kMaxNameBytes = 64;

std::string checksum_line(std::string_view text) {
  return fmt::format("{}{}\n", kChecksum, to_hex(xxh3_128(as_bytes(text))));
}

// "name 123"
bool read_count(std::string_view text, Counts& counts) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || !is_count_name(text.substr(0, space))) return false;
  const char* const last = text.data() + text.size();
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data() + space + 1, last, value);
  if (error != std::errc{} || stop != last) return false;
  counts.add(text.substr(0, space), value);
  return counts.all().size() <= kMaxRecordCounts;
}

bool read_line(std::string_view line, StatisticsRecord& record) {
  const std::size_t space = line.find(' ');
  if (space == std::string_view::npos) return false;
  const std::string_view word = line.substr(0, space);
  const std::string_view rest = line.substr(space + 1);
  if (word == "count") return read_count(rest, record.counts);
  if (word != "folded") return true;
  std::array<std::uint8_t, 8> name{};
  if (!from_hex(rest, name)) return false;
  record.folded.emplace(rest);
  return record.folded.size() <= kMaxRecordFolded;
}

}  // namespace

bool is_count_name(std::string_view name) noexcept {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789_.";
  return !name.empty() && name.size() <= kMaxNameBytes &&
         name.find_first_not_of(kLetters) == std::string_view::npos;
}

void Counts::add(std::string_view name, std::uint64_t count) {
  if (count == 0) return;
  const auto found = counts_.find(name);
  if (found == counts_.end()) {
    counts_.emplace(name, count);
    return;
  }
  std::uint64_t& sum = found->second;
  const std::uint64_t room = std::numeric_limits<std::uint64_t>::max() - sum;
  sum += count < room ? count : room;
}

void Counts::add(const Counts& other) {
  for (const auto& [name, count] : other.counts_) add(name, count);
}

std::uint64_t Counts::at(std::string_view name) const noexcept {
  const auto found = counts_.find(name);
  return found == counts_.end() ? 0 : found->second;
}

Counts Counts::since(const Counts& earlier) const {
  Counts difference;
  for (const auto& [name, count] : counts_) {
    const std::uint64_t before = earlier.at(name);
    difference.add(name, count > before ? count - before : 0);
  }
  return difference;
}

std::string encode(const StatisticsRecord& record) {
  std::string text(kHead);
  for (const auto& [name, count] : record.counts.all()) {
    text += fmt::format("count {} {}\n", name, count);
  }
  for (const std::string& name : record.folded) text += fmt::format("folded {}\n", name);
  return text + checksum_line(text);
}

std::optional<StatisticsRecord> decode_statistics(std::string_view text) {
  constexpr std::size_t kTailBytes = kChecksum.size() + kChecksumDigits + 1;
  if (text.size() > kMaxRecordBytes || text.size() < kHead.size() + kTailBytes) return std::nullopt;
  const std::string_view tail = text.substr(text.size() - kTailBytes);
  text.remove_suffix(kTailBytes);
  if (!text.starts_with(kHead) || !text.ends_with('\n') || tail != checksum_line(text)) {
    return std::nullopt;
  }
  text.remove_prefix(kHead.size());
  StatisticsRecord record;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (!read_line(text.substr(0, end), record)) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  return record;
}

}  // namespace jit::inline v1
