// Directory: the tier of the cache that is a directory on disk.
//
//   <root>/v2/<2 hex>/<64 hex key>.<release>-<8 hex of build>.cubinet   entries
//   <root>/v2/tmp/                                                      being written
//   <root>/v2/quarantine/                                               damaged, 16 at most
//   <root>/v2/locks                                                     see single_flight.hpp
//
// The mtime of an entry's file is its last use, to touch_after or touch_after_change; see
// eviction.hpp.
#pragma once

#include <sys/stat.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.hpp"
#include "cache/entry.hpp"
#include "cache/entry_query.hpp"
#include "cache/free_space.hpp"
#include "jit/runtime.hpp"

namespace jit::inline v1 {

struct DirectoryOptions {
  std::filesystem::path root{};
  // Trust a directory that its group may write to. Others may never.
  bool trust_group = false;
  // Write nothing: no publish, no quarantine, no touch, no directory.
  bool read_only = false;
  // An entry that is found is touched if it was last touched this long ago, so that those in use
  // are the last to be evicted. On overlayfs never: one touch would copy the file up. Nor in a
  // directory that this process may not write to.
  std::chrono::seconds touch_after{3600};
  // The same where an entry was added to its shard or removed from it since that touch: a cache
  // that is replaced within the hour tells by this what is in use.
  std::chrono::seconds touch_after_change{60};
  // Free space that publish leaves to others. Unset: 256 MiB, but at most a twentieth of the file
  // system.
  std::optional<std::uint64_t> min_free_bytes{};
};

struct PublishResult {
  bool ok = false;
  int error = 0;     // errno; 0 if refused for another reason than the system's
  std::string what;  // why not, and what to do; one line
  // Of the entry on disk, and what was free before it; unset if the file system does not say.
  std::uint64_t bytes = 0;
  std::optional<FreeSpace> space{};
};

// Each number only grows.
struct DirectoryStats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t damaged = 0;  // misses for damage
  std::uint64_t quarantined = 0;
  std::uint64_t published = 0;
  std::uint64_t publish_failures = 0;
  std::uint64_t swept = 0;  // temporary files of dead processes
  std::uint64_t touched = 0;
  std::uint64_t evicted = 0;  // entries
  std::uint64_t evicted_bytes = 0;
};

struct Shard;
struct EvictionRequest;
struct EvictionResult;

// Directory finds and publishes entries.
//
// It holds no descriptor and no lock between calls: it may be deleted, replaced and forked away
// from at any time. Owner, type and mode of every directory on the way down from the root are
// checked on open descriptors at every call: owner is this user or root, and nobody else may write
// to it (with trust_group: its group may, if it is one of ours).
//
// A disk never stands between a request and its kernel: no member throws for what the file system
// does (memory that runs out apart), and each kind of failure is warned about once.
// Threads: any.
class Directory {
 public:
  // Touches no disk.
  explicit Directory(DirectoryOptions options, Logger logger = {});

  const DirectoryOptions& options() const noexcept { return options_; }
  const std::filesystem::path& root() const noexcept { return options_.root; }

  // True if entries may be read from it, or if it does not exist yet. Asks the disk at every call.
  bool usable() const { return reason().empty(); }
  // Why not, and what to do; empty if usable.
  std::string reason() const;

  // The entry that answers `query`, verified. Reads only, except that a damaged file is moved to
  // the quarantine and that a touch may be due; whether that succeeds is nobody's news. Never
  // creates a directory.
  // Returns: nullopt on a miss; `why`, if given, says which.
  // Cost: for kExact with a known toolchain five opens and one read; else a scan of one of 256
  // directories. Of several answers: this build, then the newest release, then the greatest build.
  // What another machine or process takes away meanwhile is asked for once more, and is then a
  // miss: a listed file that is gone (kAbsent), a stale handle (ESTALE: kUnreadable or kRefused).
  std::optional<Entry> find(const EntryQuery& query, Miss* why = nullptr) const;
  std::optional<Entry> find(const UnitKey& key, const ToolchainId& toolchain,
                            ToolchainPolicy policy) const;

  // Makes the entry visible to others, in one step, on disk for good: temporary file, fsync,
  // rename. What stands in its place is replaced. Makes missing directories with mode 0700.
  // Leaves no temporary file behind, whatever fails. The first call also sweeps. Refused (ENOSPC)
  // if less than min_free_bytes would be left free.
  // A failure is warned about unless the caller says that he reports it himself.
  // Cost: one fsync.
  enum class Failure : bool { kWarn, kReturn };
  PublishResult publish(const Entry& entry, Failure failure = Failure::kWarn) const noexcept;

  // Moves the entry aside, for a caller who knows that it is broken. Returns: whether it did.
  bool quarantine(const UnitKey& key, const ToolchainId& toolchain, Damage damage) const noexcept;

  // Brings the directory within bounds; contract in eviction.hpp.
  EvictionResult evict(const EvictionRequest& request) const noexcept;

  // Removes temporary files last written over an hour ago, 1024 at most. Returns: how many.
  std::size_t sweep() const noexcept;

  DirectoryStats stats() const noexcept;

 private:
  struct Counters {
    std::atomic<std::uint64_t> hits{0};
    std::atomic<std::uint64_t> misses{0};
    std::atomic<std::uint64_t> damaged{0};
    std::atomic<std::uint64_t> quarantined{0};
    std::atomic<std::uint64_t> published{0};
    std::atomic<std::uint64_t> publish_failures{0};
    std::atomic<std::uint64_t> swept{0};
    std::atomic<std::uint64_t> touched{0};
    std::atomic<std::uint64_t> evicted{0};
    std::atomic<std::uint64_t> evicted_bytes{0};
  };

  std::optional<Entry> look_up(const EntryQuery& query, Miss& miss) const;
  std::optional<Entry> scan(const Shard& shard, const EntryQuery& query, Miss& miss) const;
  std::optional<Entry> read_entry(const Shard& shard, const std::string& name,
                                  const EntryQuery& query, Miss& miss,
                                  bool* vanished = nullptr) const;
  bool set_aside(const Shard& shard, const std::string& name, const struct stat& seen,
                 Damage damage) const;
  void touch_if_due(const Shard& shard, int fd, const struct stat& status) const noexcept;
  PublishResult try_publish(const Entry& entry, const std::vector<std::byte>& bytes) const;

  DirectoryOptions options_;
  Logger logger_;
  mutable Counters counters_;
  mutable std::atomic<bool> swept_once_{false};
};

}  // namespace jit::inline v1
