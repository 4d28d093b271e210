// EvictionScan: what lies in a directory of the cache, as far as eviction needs to know.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "cache/layout.hpp"
#include "cache/trusted_directory.hpp"

namespace jit::inline v1 {

// One entry, as small as it can be: there may be a million. Its name is made from `says` again.
struct ScannedEntry {
  EntryName says;
  std::int64_t last_use_ns = 0;
  std::uint64_t bytes = 0;
  std::uint64_t inode = 0;
};

// A file of the quarantine, or one that a dead process left.
struct ScannedFile {
  std::string name;
  std::int64_t since_ns = 0;
  std::uint64_t bytes = 0;
};

struct EvictionScan {
  std::vector<ScannedEntry> entries;
  std::vector<ScannedFile> quarantine;
  std::vector<ScannedFile> dead;  // temporary files that nobody writes any more
  std::uint64_t being_written_bytes = 0;
  std::uint64_t bytes = 0;  // all of these together
};

// What a file takes on disk.
std::uint64_t disk_bytes(const struct stat& status) noexcept;
std::int64_t last_use_ns(const struct stat& status) noexcept;

// Looks at every file below `format` (<root>/v2). Ends early, with what it has, once `stop` is set.
EvictionScan scan_for_eviction(const TrustedDirectory& format, const std::atomic<bool>& stop);

}  // namespace jit::inline v1
