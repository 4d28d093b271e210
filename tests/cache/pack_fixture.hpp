// Packs of fabricated entries.
#pragma once

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "cache/cache_fixture.hpp"
#include "cache/pack.hpp"
#include "cache/pack_writer.hpp"

namespace jit::test {

// Returns: what write_pack returns.
inline std::string write_entries(const std::filesystem::path& path,
                                 const std::vector<Entry>& entries, std::string_view tuning = {}) {
  std::vector<PackItem> items;
  for (const Entry& entry : entries) {
    PackItem item{entry, static_cast<std::uint32_t>(entry.artifact.cubin.size()),
                  static_cast<std::uint32_t>(encode(entry).size())};
    item.head.artifact.cubin.clear();
    items.push_back(std::move(item));
  }
  const auto read = [&](const PackItem& item) -> std::optional<Entry> {
    const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
      return entry.key == item.head.key && entry.artifact.toolchain == item.head.artifact.toolchain;
    });
    if (found == entries.end()) return std::nullopt;
    return *found;
  };
  return write_pack(path, std::move(items), read, tuning);
}

inline std::vector<Entry> make_entries(std::uint32_t count, std::size_t cubin_bytes = 100) {
  std::vector<Entry> entries;
  for (std::uint32_t i = 0; i < count; ++i) entries.push_back(make_entry(i, cubin_bytes));
  return entries;
}

inline EntryQuery query_of(const Entry& entry) {
  return {.key = entry.key, .toolchain = toolchain(), .policy = ToolchainPolicy::kRelease};
}

}  // namespace jit::test
