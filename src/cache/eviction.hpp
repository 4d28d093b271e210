// Eviction: keeps a directory of the cache within its bounds; what was used longest ago goes first.
//
// The clock is the mtime of an entry's file, its last use: publish sets it and find() moves it on
// (DirectoryOptions::touch_after), so that order is kept across processes, containers and reboots
// without an index that could be lost. Uses that are less than an hour apart are one use, or less
// than a minute where entries come and go: a cache whose cap is so small that it is replaced faster
// than that keeps what was first used last. A time in the future, after some clock went back,
// counts as now.
//
// What counts is what the files take on disk: st_size or st_blocks, whichever is more.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "cache/directory.hpp"

namespace jit::inline v1 {

inline constexpr std::uint64_t kNoCap = UINT64_MAX;

struct EvictionRequest {
  // Entries, quarantine and files being written may take this much together. More than that is
  // brought down to nine tenths of it, so that the next entry is not one too many again.
  std::uint64_t max_bytes = kNoCap;
  // In the place of the directory's own floor (DirectoryOptions::min_free_bytes).
  std::optional<std::uint64_t> min_free_bytes{};
  // Wanted beyond the floor, for what is to be written. If less than floor + room is free, an
  // eighth of the floor more is freed. Where even an empty cache would not do, nothing goes for the
  // floor's sake: the disk is full of something else.
  std::uint64_t room_bytes = 0;
  // The system says that disk or quota is full, whatever the figures are: a tenth of all goes.
  bool disk_full = false;
  // Entries not used for this long go, too, bounds or not.
  std::optional<std::chrono::seconds> unused_for{};
  // Count what would go and remove nothing.
  bool dry_run = false;
  // How long to wait while another process of this node evicts here; 0: do not. Then give up
  // (busy), unless `insist`: two at work are merely slower.
  std::chrono::milliseconds patience{0};
  bool insist = false;
  // Set by another thread: the work ends within milliseconds.
  const std::atomic<bool>* stop = nullptr;
};

struct EvictionResult {
  // Whether it was looked and acted; else `why` says in one line what is in the way and what to do.
  bool done = false;
  bool busy = false;     // another process is at it
  bool stopped = false;  // by EvictionRequest::stop; the figures tell how far it came
  std::string why;

  std::uint64_t scanned_entries = 0;  // by the first look
  std::uint64_t scanned_bytes = 0;    // all that counts
  std::uint64_t removed_entries = 0;
  std::uint64_t removed_files = 0;   // of the quarantine and of dead writers
  std::uint64_t removed_bytes = 0;   // of both
  std::uint64_t spared_entries = 0;  // were to go, and were used or replaced just then
  std::uint64_t failed = 0;          // could not be removed
  int error = 0;                     // errno of the last of them
  std::uint64_t remaining_entries = 0;
  std::uint64_t remaining_bytes = 0;
  std::uint64_t max_bytes = kNoCap;
  std::uint64_t floor_bytes = 0;
  // Free space before and after; a dry run says what it would be. Unset if the file system does not
  // say.
  std::optional<std::uint64_t> free_before_bytes;
  std::optional<std::uint64_t> free_bytes;
  std::chrono::microseconds scan_duration{0};
  std::chrono::microseconds duration{0};

  // Whether the bounds hold now.
  bool within_cap() const noexcept { return remaining_bytes <= max_bytes; }
  bool above_floor() const noexcept { return !free_bytes || *free_bytes >= floor_bytes; }
};

// The key of the lock (see FlightLock) that is held while a process evicts; no unit has it.
UnitKey eviction_lock_key();

// Directory::evict(request), in eviction.cpp:
//
// Order: temporary files not written to for an hour, whatever the bounds; then, as far as a bound
// is broken, the quarantine; then entries, least recently used first: the oldest 4096 shard by
// shard, then the next. An entry is looked at again right before it goes and is spared if it was
// used or replaced meanwhile; one that somebody else has removed is gone and no failure. What is no
// regular file or is not named like an entry is not counted and left alone: find() sets aside what
// stands in an entry's place.
//
// Where that took longer than half a second it looks at the cap again, seven times at most: those
// who published meanwhile found it busy, and left the rest to it.
//
// Readers are never in the way and never harmed: who has opened an entry reads it to its end, who
// comes later has a miss. It is correct without any lock; the lock only keeps processes from doing
// the same work at once.
// Errors: none is thrown. `why` for a read-only Directory, one that is not to be trusted, and busy.
//         After 256 files that could not be removed it gives up.
// Cost: one stat per file: a tenth of a second for 100,000 entries on a warm cache; 64 bytes each.
//       One stat and one unlink per entry that goes.

}  // namespace jit::inline v1
