// Statistics record: numbers by name, and the text that they are on disk.
//
//   record   = "cubinet statistics 1\n" line* "checksum " <32 hex> "\n"
//   line     = "count " name " " <decimal> "\n"      -- name: [a-z0-9_.], 1 to 64
//            | "folded " <16 hex> "\n"               -- in a total: a file that it contains
//            | word " " text "\n"                    -- of a later version; passed over
//   checksum = XXH3-128 over everything before its line
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace jit::inline v1 {

// Counts are numbers by name. Each only grows, so those of several processes are added up, and
// names that this version does not know are added up like the others.
class Counts {
 public:
  using Map = std::map<std::string, std::uint64_t, std::less<>>;

  // Adds; a sum that would overflow stays at the greatest number. What is 0 is not kept.
  void add(std::string_view name, std::uint64_t count);
  void add(const Counts& other);
  std::uint64_t at(std::string_view name) const noexcept;  // 0 if there is none
  // What came since `earlier`; never below 0.
  Counts since(const Counts& earlier) const;
  const Map& all() const noexcept { return counts_; }
  bool operator==(const Counts&) const = default;

 private:
  Map counts_;
};

inline constexpr std::size_t kMaxRecordBytes = std::size_t{64} << 10;
inline constexpr std::size_t kMaxRecordCounts = 1000;
inline constexpr std::size_t kMaxRecordFolded = 1000;

struct StatisticsRecord {
  Counts counts;
  std::set<std::string> folded;  // in a total: names of files that it contains, without suffix
  bool operator==(const StatisticsRecord&) const = default;
};

// True for what a record holds as the name of a count.
bool is_count_name(std::string_view name) noexcept;

// Requires: names as the grammar has them.
std::string encode(const StatisticsRecord& record);

// Reads what encode made. Returns: nullopt for any other text; survives any bytes.
std::optional<StatisticsRecord> decode_statistics(std::string_view text);

}  // namespace jit::inline v1
