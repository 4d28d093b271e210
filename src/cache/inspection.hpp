// Inspection: what `cubinet cache ls|show|verify|rm` asks of a directory.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/directory.hpp"
#include "cache/entry.hpp"

namespace jit::inline v1 {

// One file of the cache, as it presents itself.
struct EntryInfo {
  std::filesystem::path path;
  std::string key_hex;  // from the file name
  std::uint64_t size_bytes = 0;
  std::chrono::system_clock::time_point last_use;  // see eviction.hpp
  // Header and metadata, not verified; nullopt if they do not hold together or cannot be read.
  std::optional<EntrySummary> summary;
};

// The entries of a directory whose key begins with `key_prefix` (hex digits, lower case), by path.
// A directory that is absent or refused has none; see Directory::reason().
std::vector<EntryInfo> list_entries(const Directory& directory, std::string_view key_prefix = {});

// The same one by one, until `visit` returns false. Returns: whether all were visited.
bool visit_entries(const Directory& directory, std::string_view key_prefix,
                   const std::function<bool(EntryInfo&&)>& visit);

struct EntryCheck {
  EntryInfo info;
  Damage damage = Damage::kNone;
  int error = 0;  // errno, if it could not be read
  bool ok() const noexcept { return damage == Damage::kNone && error == 0; }
};

// Reads and verifies entries whole. Changes nothing: a damaged one stays where it is.
std::vector<EntryCheck> verify_entries(const Directory& directory,
                                       std::string_view key_prefix = {});

struct RemoveResult {
  std::size_t removed = 0;
  std::uint64_t removed_bytes = 0;
  std::size_t failed = 0;
  int error = 0;  // errno of the last failure
};

// Removes the entries whose key begins with `key_prefix`. Requires: an empty prefix means all, so
// the command line asks before it passes one. Does nothing in a read-only Directory (EROFS).
RemoveResult remove_entries(const Directory& directory, std::string_view key_prefix);

struct DirectorySize {
  std::size_t entries = 0;
  std::uint64_t entry_bytes = 0;
  std::size_t quarantined = 0;  // files
  std::size_t temporary = 0;    // files
};
DirectorySize size_of(const Directory& directory);

}  // namespace jit::inline v1
